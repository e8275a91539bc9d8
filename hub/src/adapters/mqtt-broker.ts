import {
  backoffMs,
  type Clock,
  type DownKind,
  downTopic,
  type Log,
  MusterError,
  messageOf,
  parseUpTopic,
  upFilter,
} from "@muster/shared";
import type { DeviceLink, LinkListener, OuterDoor } from "../ports.js";
import { Turns } from "../turns.js";
import { type BrokerSession, type ClientTls, openSession } from "./broker-session.js";
import { framePacket } from "./frame-packet.js";
import { Refusals } from "./refusals.js";

/** The name of a hub at a broker elsewhere. No device can have it, for the dot. */
export const hubName = "muster.hub";

export interface MqttBrokerOptions {
  /** Where the broker is for the hub. */
  readonly url: string;
  /** Where it is for devices. */
  readonly deviceUrl: string;
  /** What the hub shows; asked for again for every connection. */
  readonly credentials: () => Promise<ClientTls>;
  /** The same in the name of a device, to take its connection over; undefined when nobody here signs. */
  readonly deviceCredentials: ((device: string) => Promise<ClientTls>) | undefined;
  readonly door: OuterDoor;
  readonly listener: LinkListener;
  readonly clock: Clock;
  readonly log: Log;
}

const reconnect = { baseMs: 500, capMs: 15_000 };
/** Messages that the broker has not taken yet; the next wait for their turn. Frames have a bound of their own in `Transfers`. */
const maxOutstanding = 64;
/** Devices whose connections are taken over at the same time, and how long one is left alone after that. */
const evictions = { atOnce: 8, pauseMs: 5000 };

/**
 * A broker elsewhere, Mosquitto for one, that lets each device touch only topics of its certificate's name. Returns at once and
 * connects in the background, again and again: a broker that is away does not keep the hub from starting.
 */
export function openMqttBroker(options: MqttBrokerOptions): DeviceLink {
  return new MqttBroker(options);
}

class MqttBroker implements DeviceLink {
  readonly #options: MqttBrokerOptions;
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  readonly #sends = new Turns(maxOutstanding);
  readonly #evictions = new Turns(evictions.atOnce);
  /** Devices whose connection is being taken over, or was a moment ago, and whether they have spoken again since. */
  readonly #evicted = new Map<string, { spoke: boolean }>();
  /** Devices that were let through; those of them that are shut out later are ended. */
  readonly #heard = new Set<string>();
  readonly #refusals: Refusals;
  #session: BrokerSession | undefined;

  constructor(options: MqttBrokerOptions) {
    this.#options = options;
    this.#refusals = new Refusals(options.log);
    this.#loop = this.#run();
  }

  /** Such a broker knows a client by the name in its certificate alone, and a device has one certificate. */
  readonly lanes = 0;

  get url(): string {
    return this.#options.deviceUrl;
  }

  async send(device: string, kind: DownKind, payload: Buffer): Promise<void> {
    const qos = kind === "chunk" || kind === "reply" ? 0 : 1;
    await this.#sends.run(() => this.#open().publish(downTopic(device, kind), payload, qos));
  }

  async sendFrame(device: string, roomy: Buffer, lane = 0): Promise<void> {
    if (lane > 0) throw new MusterError("link/closed", `device ${device} has no lanes at this broker`);
    await this.#open().writePacket(framePacket(roomy, downTopic(device, "chunk")));
  }

  async retain(device: string, kind: DownKind, payload: Buffer): Promise<void> {
    await this.send(device, kind, payload).catch((error) => {
      // Nobody is to be reached now; every device says hello when the broker is back, and gets it then.
      if (!(error instanceof MusterError && error.code === "link/closed")) throw error;
    });
  }

  kick(device: string): void {
    void this.#evict(device);
  }

  recheck(): void {
    const { door, listener, log } = this.#options;
    for (const device of this.#heard) {
      const refusal = door.shut(device);
      if (refusal === undefined) continue;
      this.#refusals.count(refusal.count);
      log.warn("broker.client.ended", { device, reason: refusal.reason });
      this.#heard.delete(device);
      listener.onGone(device);
      void this.#evict(device);
    }
  }

  useTls(): void {
    // The broker shows a certificate of its own, and what the hub shows and trusts is asked for at each connect.
  }

  counters(): Readonly<Record<string, number>> {
    return this.#refusals.counts;
  }

  async close(): Promise<void> {
    await this.#session?.end();
    this.#stop.abort();
    await this.#loop;
  }

  /** Connects, and when the connection ends connects again, after a pause of a random length. */
  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#stop;
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      const reason = await this.#connection(() => {
        attempt = 0;
      }).catch(messageOf);
      if (signal.aborted) return;
      this.#refusals.count("broker-lost");
      const waitMs = backoffMs(reconnect, attempt, Math.random());
      log.warn("broker.lost", { url: this.#options.url, reason, retryInMs: Math.round(waitMs) });
      await clock.sleep(waitMs, signal).catch(() => undefined);
    }
  }

  /** One connection; resolves with why it ended. */
  async #connection(onOpen: () => void): Promise<string> {
    const { url, credentials, listener, log } = this.#options;
    const session = await openSession({
      ...{ url, name: hubName, tls: await credentials(), filters: [upFilter], signal: this.#stop.signal },
      onMessage: (topic, payload) => this.#onMessage(topic, payload),
    });
    this.#session = session;
    onOpen();
    log.info("broker.connected", { url });
    listener.onOpen?.();
    const reason = await session.ended;
    this.#session = undefined;
    return reason;
  }

  #open(): BrokerSession {
    if (this.#session === undefined) throw new MusterError("link/closed", "there is no connection to the broker now");
    return this.#session;
  }

  #onMessage(topic: string, payload: Buffer): void {
    const { door, listener } = this.#options;
    const from = parseUpTopic(topic);
    if (from === undefined) {
      this.#refusals.count("topic-unknown");
      return;
    }
    const { device, kind } = from;
    const refusal = door.shut(device);
    if (refusal !== undefined) {
      this.#refusals.count(refusal.count);
      this.#refusals.warn("broker.message.refused", { device, kind, reason: refusal.reason });
      // A last will says that the connection has ended already.
      if (kind !== "will") this.#evictAgain(device);
      return;
    }
    // A last will comes after the end, and is no sign of life.
    if (kind === "will") {
      this.#heard.delete(device);
      listener.onMessage(device, kind, payload);
      listener.onGone(device);
      return;
    }
    this.#heard.add(device);
    listener.onAlive(device);
    listener.onMessage(device, kind, payload);
  }

  /**
   * Takes the device's connection over and closes it: no broker takes orders to end a connection, but each ends the one whose
   * name comes again. A device that is shut out is ended each time it speaks, until the broker itself refuses it.
   */
  async #evict(device: string): Promise<void> {
    const { url, deviceCredentials } = this.#options;
    if (deviceCredentials === undefined) {
      this.#refusals.count("kick-impossible");
      return;
    }
    if (this.#evicted.has(device)) return;
    const eviction = { spoke: false };
    this.#evicted.set(device, eviction);
    try {
      await this.#evictions.run(async () => {
        const { signal } = this.#stop;
        const tls = await deviceCredentials(device);
        const session = await openSession({ url, name: device, tls, filters: [], onMessage: () => undefined, signal });
        await session.end();
      });
      this.#refusals.count("device-kicked");
    } catch (error) {
      this.#refusals.warn("broker.kick.failed", { device, reason: messageOf(error) });
    }
    setTimeout(() => {
      this.#evicted.delete(device);
      if (eviction.spoke && !this.#stop.signal.aborted) void this.#evict(device);
    }, evictions.pauseMs).unref();
  }

  /** A device that came back before the broker refuses it may say a single word, so that word is not forgotten. */
  #evictAgain(device: string): void {
    const eviction = this.#evicted.get(device);
    if (eviction === undefined) void this.#evict(device);
    else eviction.spoke = true;
  }
}
