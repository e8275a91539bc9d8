import {
  ChunkReply,
  type ChunkRequest,
  type Clock,
  Command,
  type DeviceEvent,
  type DownKind,
  decode,
  decodeFrame,
  encode,
  type Hello,
  type Log,
  MusterError,
  messageOf,
  type ProvenRenewal,
  type RenewalAnswer,
  type Reported,
  type UpKind,
  type UploadCommand,
  type Window,
} from "@muster/shared";
import type { ChunkLink, ChunkListener, LinkHandlers, Spool, UpLink } from "./ports.js";

export interface UplinkDeps {
  /** Opens the connection; it calls the handlers from then on. */
  readonly open: (handlers: LinkHandlers) => UpLink;
  readonly events: Spool<DeviceEvent>;
  readonly windows: Spool<Window>;
  readonly clock: Clock;
  readonly log: Log;
  readonly say: {
    readonly hello: () => Promise<Hello>;
    readonly reported: () => Promise<Reported>;
    /** A desired document arrived; it is not verified yet. */
    readonly desired: (message: unknown) => void;
    /** The hub asks for parts of an engine. */
    readonly upload: (command: UploadCommand) => void;
    /** The hub has answered a request for a new certificate. */
    readonly renewal: (answer: RenewalAnswer) => void;
  };
}

const batchSize = 50;
/** An acknowledgement that takes longer is taken for lost, and the batch is sent again. */
const ackTimeoutMs = 10_000;

/** All that goes between this device and its hub: says hello, empties the spools, hands on what arrives. */
export class Uplink implements ChunkLink {
  readonly #deps: UplinkDeps;
  #link: UpLink | undefined;
  readonly #listeners = new Map<number, ChunkListener>();
  readonly #stop = new AbortController();
  readonly #sending = { events: false, windows: false };
  /** The highest number the hub has acknowledged in this run, and who waits for it to rise. */
  readonly #acknowledged = { events: 0, windows: 0 };
  readonly #waiters = new Set<() => void>();
  #reporting: Promise<void> | undefined;
  #reportAgain = false;

  constructor(deps: UplinkDeps) {
    this.#deps = deps;
  }

  /** Connects, and stays connected from then on. */
  start(): void {
    this.#link = this.#deps.open({
      onConnected: () => void this.#onConnected(),
      onLost: () => {
        for (const listener of this.#listeners.values()) listener.onConnection(false);
      },
      onMessage: (kind, payload) => this.#onMessage(kind, payload),
    });
  }

  get connected(): boolean {
    return this.#link?.connected ?? false;
  }

  readonly ways: readonly number[] = [0];

  overdue(): void {
    // There is no other way, and a connection that is dead ends by itself.
  }

  request(request: ChunkRequest): void {
    // A lost request is asked for again when its time is over.
    this.#send("request", encode(request)).catch((error) =>
      this.#deps.log.debug("transfer.request.unsent", { reason: messageOf(error) }),
    );
  }

  listen(transfer: number, listener: ChunkListener): () => void {
    this.#listeners.set(transfer, listener);
    return () => this.#listeners.delete(transfer);
  }

  /** Asks for a new certificate. Throws `link/closed`. */
  async renew(request: ProvenRenewal): Promise<void> {
    await this.#send("renew", encode(request));
  }

  /** Sends a part of an engine; resolves when it is on its way. Throws `link/closed`. */
  async upload(payload: Buffer): Promise<void> {
    await this.#send("upload", payload);
  }

  /** Connects anew with the identity as it is now. */
  async reconnect(): Promise<void> {
    await this.#link?.reconnect();
  }

  /** Sends the whole reported state soon; many calls at once become one message. */
  report(): void {
    if (this.#reporting !== undefined) {
      this.#reportAgain = true;
      return;
    }
    const sent = this.#sendReport().catch((error) => this.#deps.log.error("link.report.failed", { error }));
    this.#reporting = sent.finally(() => {
      this.#reporting = undefined;
      if (!this.#reportAgain) return;
      this.#reportAgain = false;
      this.report();
    });
  }

  /** Sends what waits in the spools, if there is a connection. */
  flush(): void {
    void this.#drain("events");
    void this.#drain("windows");
  }

  async close(): Promise<void> {
    this.#stop.abort();
    for (const wake of this.#waiters) wake();
    await this.#link?.close();
  }

  async #onConnected(): Promise<void> {
    if (!(await this.#greet())) return;
    for (const listener of this.#listeners.values()) listener.onConnection(true);
  }

  /** Says all that a hub has to know of a device that has come. Resolves with whether that went out. */
  async #greet(): Promise<boolean> {
    try {
      await this.#send("hello", encode(await this.#deps.say.hello()));
    } catch (error) {
      this.#deps.log.warn("link.hello.unsent", { reason: messageOf(error) });
      return false;
    }
    this.report();
    this.flush();
    return true;
  }

  async #sendReport(): Promise<void> {
    if (!this.connected) return;
    await this.#deps.clock.sleep(100, this.#stop.signal).catch(() => undefined);
    if (this.#stop.signal.aborted) return;
    const reported = await this.#deps.say.reported();
    await this.#send("reported", encode(reported)).catch((error) =>
      this.#deps.log.debug("link.report.unsent", { reason: messageOf(error) }),
    );
  }

  /** Sends batch after batch; each is deleted only when the hub says that it is stored. */
  async #drain(of: "events" | "windows"): Promise<void> {
    if (this.#sending[of]) return;
    this.#sending[of] = true;
    const spool = this.#deps[of];
    try {
      while (this.connected && !this.#stop.signal.aborted) {
        const records = await spool.oldest(batchSize);
        if (records.length === 0) return;
        const { stream } = spool;
        const batch = of === "events" ? { stream, events: records } : { stream, windows: records };
        await this.#send(of === "events" ? "event" : "telemetry", encode(batch));
        await this.#untilAcknowledged(of, records.at(-1)?.seq ?? 0);
      }
    } catch (error) {
      this.#deps.log.debug("spool.unsent", { of, reason: messageOf(error) });
    } finally {
      this.#sending[of] = false;
    }
  }

  async #untilAcknowledged(of: "events" | "windows", seq: number): Promise<void> {
    const { clock } = this.#deps;
    const untilMs = clock.steady() + ackTimeoutMs;
    while (this.#acknowledged[of] < seq && this.connected && !this.#stop.signal.aborted && clock.steady() < untilMs) {
      const pause = new AbortController();
      const wake = () => pause.abort();
      this.#waiters.add(wake);
      await clock.sleep(1000, pause.signal).catch(() => undefined);
      this.#waiters.delete(wake);
    }
  }

  #onMessage(kind: DownKind, payload: Buffer): void {
    try {
      switch (kind) {
        case "chunk": {
          const frame = decodeFrame(payload);
          this.#listeners.get(frame.transfer)?.onFrame(frame);
          return;
        }
        case "reply": {
          const reply = decode(ChunkReply, payload, "reply");
          this.#listeners.get(reply.transfer)?.onReply(reply);
          return;
        }
        case "command":
          this.#obey(decode(Command, payload, "command"));
          return;
        case "desired":
          this.#deps.say.desired(JSON.parse(payload.toString("utf8")));
      }
    } catch (error) {
      this.#deps.log.warn("link.message.invalid", { kind, reason: messageOf(error) });
    }
  }

  #obey(command: Command): void {
    if (command.type === "resync") {
      this.report();
      return;
    }
    if (command.type === "hello") {
      void this.#greet();
      return;
    }
    if (command.type === "upload") {
      this.#deps.say.upload(command);
      return;
    }
    if (command.type !== "ack") {
      this.#deps.say.renewal(command);
      return;
    }
    const spool = this.#deps[command.of];
    if (spool.stream !== command.stream) return;
    spool.acknowledge(command.seq).then(
      () => {
        this.#acknowledged[command.of] = Math.max(this.#acknowledged[command.of], command.seq);
        for (const wake of this.#waiters) wake();
      },
      (error) => this.#deps.log.error("spool.acknowledge.failed", { error }),
    );
  }

  async #send(kind: UpKind, payload: Buffer): Promise<void> {
    if (this.#link === undefined || this.#stop.signal.aborted)
      throw new MusterError("link/closed", "there is no connection now");
    await this.#link.send(kind, payload);
  }
}
