import {
  backoffMs,
  type Clock,
  DeviceId,
  type DownKind,
  downKinds,
  downTopic,
  encode,
  type Log,
  MusterError,
  messageOf,
  type UpKind,
  upTopic,
} from "@muster/shared";
import mqtt, { type MqttClient } from "mqtt";
import type { Credentials } from "../identity-store.js";
import type { LinkHandlers, UpLink } from "../ports.js";

export interface MqttLinkOptions {
  readonly device: string;
  /** Read again for every connection, so that a renewed certificate is used from the next one on. */
  readonly credentials: () => Promise<Pick<Credentials, "mqttUrl" | "ca" | "certificate" | "privateKey">>;
  readonly bootId: string;
  readonly handlers: LinkHandlers;
  readonly clock: Clock;
  readonly log: Log;
}

/** A fleet that lost its hub comes back spread over a minute. */
const reconnect = { baseMs: 1000, capMs: 60_000 };
const keepaliveSeconds = 30;
const connectTimeoutMs = 15_000;

/**
 * Connects over mutual TLS and stays connected. The loop is ours: MQTT.js does not try again after a
 * refused connect, and its fixed period would bring a fleet back in step.
 */
export function openMqttLink(options: MqttLinkOptions): UpLink {
  return new MqttLink(options);
}

type Known = Awaited<ReturnType<MqttLinkOptions["credentials"]>>;

/** MQTT's code for it, and how a broker that looks at certificates in the handshake says it. */
const notAuthorized = 5;
const refusedInHandshake = /ALERT_CERTIFICATE_(REVOKED|EXPIRED|UNKNOWN)/;
const refusedReason =
  "the hub refuses this device's certificate: it was revoked or replaced, has expired, or the device was removed; the hub's log says which";

class MqttLink implements UpLink {
  readonly #options: MqttLinkOptions;
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  #client: MqttClient | undefined;
  #connected = false;
  #again = false;

  constructor(options: MqttLinkOptions) {
    DeviceId.parse(options.device);
    this.#options = options;
    this.#loop = this.#run();
  }

  get connected(): boolean {
    return this.#connected;
  }

  async send(kind: UpKind, payload: Buffer): Promise<void> {
    const client = this.#client;
    if (client === undefined || !this.#connected)
      throw new MusterError("link/closed", "there is no connection to the hub now");
    const qos = kind === "request" ? 0 : 1;
    await new Promise<void>((resolve, reject) => {
      const lost = () => reject(new MusterError("link/closed", "the connection to the hub was lost"));
      client.once("close", lost);
      client.publish(upTopic(this.#options.device, kind), payload, { qos }, (error) => {
        client.removeListener("close", lost);
        if (error)
          reject(new MusterError("link/closed", `message was not sent: ${messageOf(error)}`, { cause: error }));
        else resolve();
      });
    });
  }

  async reconnect(): Promise<void> {
    this.#again = true;
    await this.#client?.endAsync().catch(() => this.#client?.end(true));
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#client?.endAsync().catch(() => this.#client?.end(true));
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    let attempt = 0;
    while (!this.#stop.signal.aborted) {
      const { credentials } = this.#options;
      const reason = await credentials().then(
        (known) =>
          this.#session(known, () => {
            attempt = 0;
          }),
        messageOf,
      );
      if (this.#stop.signal.aborted) return;
      if (this.#again) {
        this.#again = false;
        log.info("link.reconnecting");
        continue;
      }
      const waitMs = backoffMs(reconnect, attempt, Math.random());
      attempt += 1;
      log.warn("link.lost", { reason, retryInMs: Math.round(waitMs) });
      await clock.sleep(waitMs, this.#stop.signal).catch(() => undefined);
    }
  }

  /** One connection from its first packet to its end; resolves with why it ended. */
  #session(credentials: Known, onConnected: () => void): Promise<string> {
    const { device, bootId, handlers, log } = this.#options;
    const { mqttUrl, ca, certificate, privateKey } = credentials;
    return new Promise((resolve) => {
      let reason = "the hub closed the connection";
      const client = mqtt.connect(mqttUrl, {
        clientId: device,
        ca,
        cert: certificate,
        key: privateKey,
        rejectUnauthorized: true,
        protocolVersion: 4,
        // The hub keeps what matters and sends it again on hello; a kept session would only pile up old messages.
        clean: true,
        resubscribe: false,
        queueQoSZero: false,
        reconnectPeriod: 0,
        connectTimeout: connectTimeoutMs,
        keepalive: keepaliveSeconds,
        will: { topic: upTopic(device, "will"), payload: encode({ bootId }), qos: 1, retain: false },
      });
      // Every message under way listens for the end of the connection.
      client.setMaxListeners(0);
      this.#client = client;
      client.on("error", (error) => {
        const { code } = error as { code?: unknown };
        const refused = code === notAuthorized || refusedInHandshake.test(String(code));
        reason = refused ? refusedReason : error.message;
      });
      client.on("connect", () => {
        // MQTT.js leaves Nagle's algorithm on, which makes QoS 1 five times slower.
        (client.stream as { setNoDelay?: (on: boolean) => void }).setNoDelay?.(true);
        const filters = Object.fromEntries(downKinds.map((kind) => [downTopic(device, kind), { qos: qosOf(kind) }]));
        client.subscribe(filters, (error, granted) => {
          if (error !== null || granted?.some(({ qos }) => qos > 2)) {
            reason = "the hub refused a subscription; was this device removed?";
            client.end(true);
            return;
          }
          this.#connected = true;
          onConnected();
          log.info("link.connected", { url: mqttUrl });
          handlers.onConnected();
        });
      });
      client.on("message", (topic, payload) => {
        const kind = downKinds.find((candidate) => topic === downTopic(device, candidate));
        if (kind !== undefined) handlers.onMessage(kind, payload);
      });
      client.once("close", () => {
        client.end(true);
        const was = this.#connected;
        this.#connected = false;
        if (was) handlers.onLost();
        resolve(reason);
      });
    });
  }
}

/** Chunks and replies are asked for again when lost, so no broker has to keep them. */
function qosOf(kind: DownKind): 0 | 1 {
  return kind === "chunk" || kind === "reply" ? 0 : 1;
}
