import {
  asMusterError,
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
import type { Credentials } from "../identity-store.js";
import type { BrokerSession, LinkHandlers, UpLink } from "../ports.js";
import { connectBroker } from "./mqtt-session.js";

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

/** What is asked for, or sent, again when it is lost. */
const unkept: readonly UpKind[] = ["request", "upload"];

/** Connects over mutual TLS and stays connected. */
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
  #session: BrokerSession | undefined;
  /** Ends the connection, or the attempt at one. */
  #end = new AbortController();
  #again = false;

  constructor(options: MqttLinkOptions) {
    DeviceId.parse(options.device);
    this.#options = options;
    this.#loop = this.#run();
  }

  get connected(): boolean {
    return this.#session !== undefined;
  }

  async send(kind: UpKind, payload: Buffer): Promise<void> {
    const session = this.#session;
    if (session === undefined) throw new MusterError("link/closed", "there is no connection to the hub now");
    await session.publish(upTopic(this.#options.device, kind), payload, { qos: unkept.includes(kind) ? 0 : 1 });
  }

  async reconnect(): Promise<void> {
    this.#again = true;
    const { ended } = this.#session ?? {};
    this.#end.abort();
    await ended;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#end.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    let attempt = 0;
    while (!this.#stop.signal.aborted) {
      const { credentials } = this.#options;
      const reason = await credentials().then(
        (known) =>
          this.#connect(known, () => {
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
  async #connect(known: Known, onConnected: () => void): Promise<string> {
    const { device, bootId, handlers, log } = this.#options;
    const { mqttUrl: url, ca, certificate, privateKey } = known;
    this.#end = new AbortController();
    // A close while the credentials were read.
    if (this.#stop.signal.aborted) this.#end.abort();
    try {
      const session = await connectBroker({
        ...{ url, ca, certificate, privateKey, clientId: device, keepaliveSeconds, signal: this.#end.signal },
        // The hub keeps what matters and sends it again on hello; a kept session would only pile up old messages.
        clean: true,
        will: { topic: upTopic(device, "will"), payload: encode({ bootId }) },
        subscribe: Object.fromEntries(downKinds.map((kind) => [downTopic(device, kind), qosOf(kind)])),
        onMessage: (topic, payload) => {
          const kind = downKinds.find((candidate) => topic === downTopic(device, candidate));
          if (kind !== undefined) handlers.onMessage(kind, payload);
          return undefined;
        },
        onOpen: (opened) => {
          this.#session = opened;
          onConnected();
          log.info("link.connected", { url });
          handlers.onConnected();
        },
      });
      const reason = await session.ended;
      this.#session = undefined;
      handlers.onLost();
      return reason;
    } catch (error) {
      const { code } = (asMusterError(error).cause ?? {}) as { code?: unknown };
      const refused = code === notAuthorized || refusedInHandshake.test(String(code));
      return refused ? refusedReason : messageOf(error);
    }
  }
}

/** Chunks and replies are asked for again when lost, so no broker has to keep them. */
function qosOf(kind: DownKind): 0 | 1 {
  return kind === "chunk" || kind === "reply" ? 0 : 1;
}
