import {
  type DownKind,
  downTopic,
  type Log,
  laneId,
  MusterError,
  maxLanes,
  mayPublish,
  maySubscribe,
  parseClientId,
  parseUpTopic,
  upTopic,
} from "@muster/shared";
import { Aedes, type AuthenticateError, type Client } from "aedes";
import type { AdmissionLimits } from "../core/admission.js";
import type { DeviceLink, Door, LinkListener, ListenerTls } from "../ports.js";
import { AedesClients, isLane } from "./aedes-clients.js";
import { disableDuplicateFilter, limitPackets, MessagePaces } from "./aedes-guards.js";
import { DeviceListener, type Peer } from "./device-listener.js";
import { framePacket } from "./frame-packet.js";
import { Refusals } from "./refusals.js";

export interface AedesBrokerOptions {
  readonly host: string;
  readonly port: number;
  /** The name devices know this machine by. */
  readonly publicHost: string;
  readonly tls: ListenerTls;
  readonly door: Door;
  readonly limits: BrokerLimits;
  readonly listener: LinkListener;
  readonly log: Log;
}

/** What one address, and one device, may ask of the broker. */
export interface BrokerLimits extends AdmissionLimits {
  /** Above it messages wait, and the device with them. */
  readonly messagesPerSecondPerDevice: number;
}

/** A device that is silent for one and a half times this is taken for gone; it has to promise to ping. */
const maxKeepaliveSeconds = 600;
/** A device that reads nothing for so long is cut off. */
const drainTimeoutMs = 15_000;
/** Topics asked for on one connection; a device has four. */
const maxSubscriptions = 32;
/** The share of all connections that lanes may have: they must not keep a device out. */
const laneShare = 0.25;

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
  readonly lanes = maxLanes;
  readonly #options: AedesBrokerOptions;
  readonly #clients = new AedesClients();
  readonly #refusals: Refusals;
  readonly #peers = new WeakMap<object, Peer>();
  readonly #paces: MessagePaces;
  readonly #asked = new WeakMap<Client, number>();
  readonly #listener: DeviceListener;
  #broker: Aedes | undefined;
  #port = 0;

  constructor(options: AedesBrokerOptions) {
    this.#options = options;
    this.#refusals = new Refusals(options.log);
    this.#paces = new MessagePaces(options.limits.messagesPerSecondPerDevice);
    this.#listener = new DeviceListener({
      ...{ tls: options.tls, limits: options.limits },
      onDevice: (socket, peer) => {
        const broker = this.#broker;
        if (broker === undefined) return socket.destroy();
        // Every message under way listens for the end of the connection.
        socket.setMaxListeners(0);
        this.#peers.set(socket, peer);
        limitPackets(broker.handle(socket), () => this.#refusals.count("packet-too-large"));
      },
      onRefused: (count, reason, address) => {
        this.#refusals.count(count);
        this.#refusals.warn("broker.handshake.refused", { reason, address });
      },
    });
  }

  get url(): string {
    return `mqtts://${this.#options.publicHost}:${this.#port}`;
  }

  async open(): Promise<void> {
    const { host, port } = this.#options;
    // concurrency 0: one device that does not read must not hold up the others (aedes PR 1060).
    const broker = await Aedes.createBroker({
      concurrency: 0,
      drainTimeout: drainTimeoutMs,
      maxTopicLevels: 8,
      connectTimeout: 10_000,
      preConnect: (client, { keepalive = 0 }, done) => {
        const asked = keepalive > 0 && keepalive <= maxKeepaliveSeconds;
        if (asked) return done(null, true);
        const reason = `keepalive of ${keepalive} s; ask for 1 to ${maxKeepaliveSeconds} s`;
        done(this.#refuseLogin(client, "keepalive-refused", reason), false);
      },
      authenticate: (client, _user, _password, done) => this.#authenticate(client, done),
      authorizePublish: (client, packet, done) => {
        // Also what aedes would guard itself, were this not here: nothing below $SYS is a device's own.
        if (client === null || !mayPublish(client.id, packet.topic) || packet.retain) {
          this.#refusals.warn("broker.publish.refused", { device: client?.id, topic: packet.topic.slice(0, 200) });
          done(this.#refuse("publish-not-allowed", `may not publish to ${packet.topic}`));
          return;
        }
        const wait = this.#paces.wait(client, () => done(null));
        if (wait === "delayed") this.#refusals.count("publish-delayed");
        if (wait === "flood") done(this.#refuse("publish-flood", "sends far more than it may"));
      },
      authorizeSubscribe: (client, subscription, done) => {
        const asked = (this.#asked.get(client) ?? 0) + 1;
        this.#asked.set(client, asked);
        if (asked > maxSubscriptions) return done(this.#refuse("subscribe-flood", "asks for too many topics"));
        if (maySubscribe(client.id, subscription.topic)) return done(null, subscription);
        this.#refusals.count("subscribe-not-allowed");
        this.#refusals.warn("broker.subscribe.refused", { device: client.id, filter: subscription.topic });
        done(null, null);
      },
    });
    this.#broker = broker;
    this.#listenTo(broker);
    this.#port = await this.#listener.listen(host, port);
  }

  async send(device: string, kind: DownKind, payload: Buffer): Promise<void> {
    const client = this.#clients.of(device);
    if (client === undefined) throw new MusterError("link/closed", `device ${device} is not connected`);
    const qos = kind === "chunk" || kind === "reply" ? 0 : 1;
    const { conn } = client;
    await new Promise<void>((resolve, reject) => {
      const gone = () => reject(new MusterError("link/closed", `device ${device} went away`));
      const taken = () => {
        conn.removeListener("close", gone);
        resolve();
      };
      if (client.closed) return gone();
      conn.once("close", gone);
      client.publish(
        { cmd: "publish", topic: downTopic(device, kind), payload, qos, retain: false, dup: false },
        (error) => {
          if (error) {
            conn.removeListener("close", gone);
            reject(new MusterError("link/closed", `device ${device} does not read`, { cause: error }));
          } else taken();
        },
      );
    });
  }

  async sendFrame(device: string, roomy: Buffer, lane = 0): Promise<void> {
    const id = lane === 0 ? device : laneId(device, lane);
    const client = this.#clients.of(device, lane);
    if (client === undefined) throw new MusterError("link/closed", `${id} is not connected`);
    const { conn } = client;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => conn.destroy(), drainTimeoutMs);
      // One buffer in one write: TLS copies several into a new one, which costs more than all else a hub does for a chunk.
      conn.write(framePacket(roomy, downTopic(id, "chunk")), (error) => {
        clearTimeout(timer);
        if (error == null) resolve();
        else reject(new MusterError("link/closed", `${id} went away`, { cause: error }));
      });
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
    this.#clients.end(device);
  }

  counters(): Readonly<Record<string, number>> {
    return this.#refusals.counts;
  }

  recheck(): void {
    const { door, log } = this.#options;
    for (const { device, client } of this.#clients.all()) {
      const peer = this.#peers.get(client.conn);
      const refusal = peer && door.refusal(device, peer.certificate);
      if (refusal === undefined) continue;
      this.#refusals.count(refusal.count);
      log.warn("broker.client.ended", { device, reason: refusal.reason });
      client.conn.destroy();
    }
  }

  useTls(tls: ListenerTls): void {
    this.#listener.useTls(tls);
  }

  async close(): Promise<void> {
    const broker = this.#broker;
    const closed = this.#listener.close();
    await new Promise<void>((resolve) => (broker === undefined ? resolve() : broker.close(() => resolve())));
    await closed;
  }

  #authenticate(client: Client, done: (error: AuthenticateError | null, success: boolean | null) => void): void {
    const peer = this.#peers.get(client.conn);
    const refusal = this.#refusal(client.id, peer);
    if (refusal === undefined) done(null, true);
    else done(this.#refuseLogin(client, refusal.count, refusal.reason), false);
  }

  /** Why whoever calls itself so is not let in; undefined when it is. */
  #refusal(id: string, peer: Peer | undefined): { readonly count: string; readonly reason: string } | undefined {
    const named = parseClientId(id);
    if (named === undefined || peer === undefined || peer.name !== named.device) {
      const reason = `client id ${id} is not the certificate's name ${peer?.name}`;
      return { count: "id-not-certificate", reason };
    }
    if (named.lane > 0 && this.#clients.lanes >= this.#options.limits.maxConnections * laneShare)
      return { count: "lanes-total", reason: "too many lanes" };
    return this.#options.door.refusal(named.device, peer.certificate);
  }

  #listenTo(broker: Aedes): void {
    const { door, listener, log } = this.#options;
    broker.on("client", (client) => {
      if (!this.#clients.enter(client) || isLane(client)) return;
      disableDuplicateFilter(client);
      const peer = this.#peers.get(client.conn);
      if (peer !== undefined) door.entered(client.id, peer.certificate);
      listener.onAlive(client.id);
    });
    // A lane that pings says nothing of the device's own connection.
    broker.on("ping", (_packet, client) => isLane(client) || listener.onAlive(client.id));
    broker.on("clientDisconnect", (client) => {
      if (!this.#clients.leave(client) || isLane(client)) return;
      // What comes on lanes cannot be asked for any more.
      this.#clients.endLanes(client.id);
      listener.onGone(client.id);
    });
    broker.on("clientError", (client, error) =>
      log.debug("broker.client.failed", { device: client.id, reason: error.message }),
    );
    broker.on("connectionError", (_client, error) =>
      this.#refusals.warn("broker.connection.refused", { reason: error.message }),
    );
    broker.on("publish", (packet, client) => {
      const from = client === null ? undefined : parseUpTopic(packet.topic);
      if (client === null || from === undefined || packet.topic !== upTopic(client.id, from.kind)) return;
      // A last will comes after the end, and is no sign of life.
      if (this.#clients.has(client)) listener.onAlive(client.id);
      listener.onMessage(from.device, from.kind, Buffer.from(packet.payload));
    });
  }

  #refuseLogin(client: Client, count: string, reason: string): AuthenticateError {
    this.#refusals.warn("broker.login.refused", { reason, address: this.#peers.get(client.conn)?.address });
    return this.#refuse(count, reason);
  }

  #refuse(reason: string, message: string): AuthenticateError {
    this.#refusals.count(reason);
    // 5 is MQTT's "not authorized".
    return Object.assign(new Error(message), { returnCode: 5 });
  }
}
