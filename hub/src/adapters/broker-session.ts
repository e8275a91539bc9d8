import { MusterError, messageOf } from "@muster/shared";
import mqtt, { type MqttClient } from "mqtt";

/** What a connection shows, and whom it trusts; all PEM. */
export interface ClientTls {
  readonly ca: string;
  readonly certificate: string;
  readonly privateKey: string;
}

export interface SessionOptions {
  /** `mqtts://host:port` of the broker. */
  readonly url: string;
  /** The client id, which is also the certificate's name. */
  readonly name: string;
  readonly tls: ClientTls;
  /** Subscribed to at QoS 1 before the session counts as open. */
  readonly filters: readonly string[];
  readonly onMessage: (topic: string, payload: Buffer) => void;
  /** Ends an attempt to connect, and the session. */
  readonly signal: AbortSignal;
}

const connectTimeoutMs = 15_000;
const keepaliveSeconds = 30;

/**
 * One connection to a broker elsewhere: MQTT 3.1.1 over mutual TLS, from its first packet to its end. Resolves when the broker
 * has granted the subscriptions. Throws `link/closed` with the reason.
 */
export async function openSession(options: SessionOptions): Promise<BrokerSession> {
  const { url, name, tls, filters, signal } = options;
  signal.throwIfAborted();
  const client = mqtt.connect(url, {
    clientId: name,
    ca: tls.ca,
    cert: tls.certificate,
    key: tls.privateKey,
    rejectUnauthorized: true,
    protocolVersion: 4,
    // Nothing waits in the broker or in MQTT.js for a hub that is away: what matters is asked for and sent again.
    clean: true,
    resubscribe: false,
    queueQoSZero: false,
    // It does not try again after a refused connect, and its period is fixed; the loop around sessions is ours.
    reconnectPeriod: 0,
    connectTimeout: connectTimeoutMs,
    keepalive: keepaliveSeconds,
  });
  const session = new BrokerSession(client);
  const abort = () => void client.end(true);
  signal.addEventListener("abort", abort, { once: true });
  void session.ended.then(() => signal.removeEventListener("abort", abort));
  client.on("message", options.onMessage);
  await session.opened();
  try {
    await session.subscribe(filters);
  } catch (error) {
    client.end(true);
    throw error;
  }
  return session;
}

/** A connection that stands, until {@link ended} resolves. */
export class BrokerSession {
  /** Resolves with why the connection ended. */
  readonly ended: Promise<string>;
  readonly #client: MqttClient;
  /** Who waits for the broker, and would wait for ever when the connection ends. */
  readonly #waiting = new Set<(error: Error) => void>();
  #reason: string | undefined;

  constructor(client: MqttClient) {
    this.#client = client;
    let reason = "the broker closed the connection";
    client.on("error", (error) => {
      reason = messageOf(error);
    });
    this.ended = new Promise((resolve) => {
      client.once("close", () => {
        client.end(true);
        this.#reason = reason;
        for (const fail of this.#waiting) fail(closed(reason));
        resolve(reason);
      });
    });
  }

  /** Waits for the broker's CONNACK. Throws `link/closed`. */
  async opened(): Promise<void> {
    await this.#answered((done) => this.#client.once("connect", () => done()));
    const { stream } = this.#client;
    // MQTT.js leaves Nagle's algorithm on, which makes QoS 1 five times slower.
    (stream as { setNoDelay?: (on: boolean) => void }).setNoDelay?.(true);
    // Every message that waits for the socket listens for it.
    stream.setMaxListeners(0);
  }

  /** MQTT.js does not subscribe again by itself for a clean session that the broker says it has. Throws `link/closed`. */
  async subscribe(filters: readonly string[]): Promise<void> {
    if (filters.length === 0) return;
    await this.#answered((done) =>
      this.#client.subscribe([...filters], { qos: 1 }, (error, granted) => {
        const refused = granted?.some(({ qos }) => Number(qos) > 2) ?? false;
        done(
          refused ? new Error(`the broker refuses the subscription to ${filters.join(", ")}`) : (error ?? undefined),
        );
      }),
    );
  }

  /** Resolves when the broker has acknowledged the message; with QoS 0, when it has been written. Throws `link/closed`. */
  publish(topic: string, payload: Buffer, qos: 0 | 1): Promise<void> {
    return this.#answered((done) => this.#client.publish(topic, payload, { qos }, done));
  }

  /**
   * Writes a whole MQTT packet that nobody has to acknowledge, and resolves when the socket has taken it, so that its buffer
   * may be used again: MQTT.js says so when it has only been queued. Throws `link/closed`.
   */
  writePacket(packet: Buffer): Promise<void> {
    const { stream } = this.#client;
    return this.#answered((done) =>
      // Node says of what waited in a TLS socket that was cut that it went out.
      stream.write(packet, (error) => done(error ?? (stream.destroyed ? new Error("it was cut") : undefined))),
    );
  }

  /** Says goodbye, and waits until the connection is gone. */
  async end(): Promise<void> {
    this.#client.end();
    await this.ended;
  }

  async #answered(start: (done: (error?: Error | null) => void) => void): Promise<void> {
    if (this.#reason !== undefined) throw closed(this.#reason);
    await new Promise<void>((resolve, reject) => {
      this.#waiting.add(reject);
      start((error) => {
        this.#waiting.delete(reject);
        // MQTT.js says both null and undefined for success.
        if (error == null) resolve();
        else reject(closed(messageOf(error)));
      });
    });
  }
}

function closed(reason: string): MusterError {
  return new MusterError("link/closed", `the connection to the broker is not there: ${reason}`);
}
