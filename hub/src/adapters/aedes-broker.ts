import type { Server } from "node:tls";
import { createServer, type TLSSocket } from "node:tls";
import {
  type DownKind,
  downTopic,
  type Log,
  MusterError,
  mayPublish,
  maySubscribe,
  parseUpTopic,
  upTopic,
} from "@muster/shared";
import { Aedes, type AuthenticateError, type Client } from "aedes";
import { listen } from "../listen.js";
import type { DeviceLink, LinkListener } from "../ports.js";
import { disableDuplicateFilter, limitPackets } from "./aedes-guards.js";

export interface AedesBrokerOptions {
  readonly host: string;
  readonly port: number;
  /** The name devices know this machine by. */
  readonly publicHost: string;
  readonly tls: { readonly certificate: string; readonly privateKey: string; readonly ca: string };
  /** Whether the certificate of this serial number may still speak for the device. */
  readonly mayConnect: (device: string, serial: string) => boolean;
  readonly listener: LinkListener;
  readonly log: Log;
}

/**
 * The embedded broker: MQTT 3.1.1 over mutual TLS. A device is who its certificate says, and touches
 * only its own topics.
 */
export async function openAedesBroker(options: AedesBrokerOptions): Promise<DeviceLink> {
  const broker = new AedesBroker(options);
  try {
    await broker.open();
  } catch (error) {
    await broker.close();
    throw error;
  }
  return broker;
}

class AedesBroker implements DeviceLink {
  readonly #options: AedesBrokerOptions;
  readonly #clients = new Map<string, Client>();
  readonly #refused = new Map<string, number>();
  /** Every connection, also those that have not logged in. */
  readonly #sockets = new Set<TLSSocket>();
  #broker: Aedes | undefined;
  #server: Server | undefined;
  #port = 0;

  constructor(options: AedesBrokerOptions) {
    this.#options = options;
  }

  get url(): string {
    return `mqtts://${this.#options.publicHost}:${this.#port}`;
  }

  async open(): Promise<void> {
    const { host, port, tls } = this.#options;
    // concurrency 0: one device that does not read must not hold up the others (aedes PR 1060).
    const broker = await Aedes.createBroker({
      concurrency: 0,
      drainTimeout: 15_000,
      maxTopicLevels: 8,
      connectTimeout: 10_000,
      authenticate: (client, _user, _password, done) => this.#authenticate(client, done),
      authorizePublish: (client, packet, done) => {
        const allowed = client !== null && mayPublish(client.id, packet.topic) && !packet.retain;
        done(allowed ? null : this.#refuse("publish-not-allowed", `may not publish to ${packet.topic}`));
      },
      authorizeSubscribe: (client, subscription, done) => {
        if (maySubscribe(client.id, subscription.topic)) return done(null, subscription);
        this.#refuse("subscribe-not-allowed", "");
        this.#options.log.warn("broker.subscribe.refused", { device: client.id, filter: subscription.topic });
        done(null, null);
      },
    });
    this.#broker = broker;
    this.#listenTo(broker);
    this.#server = createServer(
      {
        key: tls.privateKey,
        cert: tls.certificate,
        ca: tls.ca,
        requestCert: true,
        rejectUnauthorized: true,
        minVersion: "TLSv1.2",
      },
      (socket) => {
        socket.setNoDelay(true);
        // Every message under way listens for the end of the connection.
        socket.setMaxListeners(0);
        this.#sockets.add(socket);
        socket.once("close", () => this.#sockets.delete(socket));
        limitPackets(broker.handle(socket), () => this.#refuse("packet-too-large", ""));
      },
    );
    this.#server.on("tlsClientError", (error) => {
      this.#refuse("tls-handshake-failed", "");
      this.#options.log.warn("broker.handshake.refused", { reason: error.message });
    });
    this.#port = await listen(this.#server, host, port, "MQTT");
  }

  async send(device: string, kind: DownKind, payload: Buffer): Promise<void> {
    const client = this.#clients.get(device);
    if (client === undefined) throw new MusterError("link/closed", `device ${device} is not connected`);
    const qos = kind === "chunk" || kind === "reply" ? 0 : 1;
    await new Promise<void>((resolve, reject) => {
      const gone = () => reject(new MusterError("link/closed", `device ${device} went away`));
      if (client.closed) return gone();
      client.conn.once("close", gone);
      client.publish(
        { cmd: "publish", topic: downTopic(device, kind), payload, qos, retain: false, dup: false },
        (error) => {
          client.conn.removeListener("close", gone);
          if (error) reject(new MusterError("link/closed", `device ${device} does not read`, { cause: error }));
          else resolve();
        },
      );
    });
  }

  async retain(device: string, kind: DownKind, payload: Buffer): Promise<void> {
    const packet = {
      cmd: "publish",
      topic: downTopic(device, kind),
      payload,
      qos: 1,
      retain: true,
      dup: false,
    } as const;
    await new Promise<void>((resolve, reject) => {
      this.#broker?.publish(packet, (error) => (error ? reject(error) : resolve()));
    });
  }

  kick(device: string): void {
    this.#clients.get(device)?.conn.destroy();
  }

  counters(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#refused);
  }

  async close(): Promise<void> {
    const [broker, server] = [this.#broker, this.#server];
    const closed = new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
    // Not ended but destroyed: a device that does not read would never let an orderly end through.
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => (broker === undefined ? resolve() : broker.close(() => resolve())));
    await closed;
  }

  #authenticate(client: Client, done: (error: AuthenticateError | null, success: boolean | null) => void): void {
    const { subject, serialNumber } = (client.conn as TLSSocket).getPeerCertificate();
    if (subject?.CN !== client.id) {
      done(
        this.#refuse("id-not-certificate", `client id ${client.id} is not the certificate's name ${subject?.CN}`),
        false,
      );
      return;
    }
    if (!this.#options.mayConnect(client.id, serialNumber.toLowerCase())) {
      done(this.#refuse("certificate-revoked", `certificate ${serialNumber} of ${client.id} is not valid here`), false);
      return;
    }
    done(null, true);
  }

  #listenTo(broker: Aedes): void {
    const { listener, log } = this.#options;
    broker.on("client", (client) => {
      disableDuplicateFilter(client);
      this.#clients.set(client.id, client);
      listener.onAlive(client.id);
    });
    broker.on("ping", (_packet, client) => listener.onAlive(client.id));
    broker.on("clientDisconnect", (client) => {
      if (this.#clients.get(client.id) !== client) return;
      this.#clients.delete(client.id);
      listener.onGone(client.id);
    });
    broker.on("clientError", (client, error) =>
      log.debug("broker.client.failed", { device: client.id, reason: error.message }),
    );
    broker.on("connectionError", (_client, error) => log.warn("broker.connection.refused", { reason: error.message }));
    broker.on("publish", (packet, client) => {
      const from = client === null ? undefined : parseUpTopic(packet.topic);
      if (client === null || from === undefined || packet.topic !== upTopic(client.id, from.kind)) return;
      listener.onAlive(client.id);
      listener.onMessage(from.device, from.kind, Buffer.from(packet.payload));
    });
  }

  #refuse(reason: string, message: string): AuthenticateError {
    this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
    // 5 is MQTT's "not authorized".
    return Object.assign(new Error(message), { returnCode: 5 });
  }
}
