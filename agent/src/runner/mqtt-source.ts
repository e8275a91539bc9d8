import { type Clock, MusterError, messageOf, type SourceReport } from "@muster/shared";
import type { BrokerConnector, MessagePace } from "../ports.js";
import { brokerLogin } from "./broker-login.js";
import type { MqttSource as MqttSettings } from "./feed-settings.js";
import type { Intake } from "./intake.js";
import type { Environment } from "./secret.js";
import type { Source } from "./source.js";
import { SourceLoop } from "./source-loop.js";

export interface MqttSourceDeps {
  readonly settings: MqttSettings;
  /** Names this device's subscription at the broker; the same after every start. */
  readonly clientId: string;
  readonly intake: Intake;
  readonly connect: BrokerConnector;
  readonly env: Environment;
  readonly clock: Clock;
}

const retry = { baseMs: 500, capMs: 30_000 };
/** So many messages are worked on at a time; further ones are not even read. */
const maxInHand = 8;
/** Not reading also keeps the answers to pings away. After so long the rest is left with the broker. */
const holdLimitMs = 10_000;
const safeAgainMs = 1000;

/**
 * Takes the messages of a topic. With QoS 1 a message is acknowledged after its answer is safe in the sinks, so what is
 * not answered when device or connection fail comes again; the broker keeps what was published meanwhile.
 */
export class MqttSource implements Source {
  readonly #deps: MqttSourceDeps;
  readonly #loop: SourceLoop;
  readonly #inHand = new Set<Promise<boolean>>();
  /** Gives up the messages that still wait for their turn: they are with the broker, and come again. */
  #giveUp = new AbortController();
  /** Ends the present connection. */
  #leave = new AbortController();
  /** Left because nothing could be answered for too long. */
  #held = false;

  constructor(deps: MqttSourceDeps) {
    this.#deps = deps;
    const { intake, clock } = deps;
    this.#loop = new SourceLoop({ intake, clock, retry, work: (good) => this.#work(good) });
  }

  status(): SourceReport {
    return this.#deps.intake.report();
  }

  /** Acknowledges what was answered before it leaves. */
  async close(): Promise<void> {
    this.#loop.stop();
    this.#giveUp.abort();
    await Promise.all(this.#inHand);
    this.#leave.abort();
    await this.#loop.over();
  }

  /** While nothing can be answered, the broker keeps the messages better than a connection that nobody reads. */
  async #work(good: () => void): Promise<number> {
    const reason = await this.#session(() => {
      good();
      this.#deps.intake.standing.running();
    });
    if (this.#held) return 0;
    throw new MusterError("link/closed", reason);
  }

  /** One connection; resolves with why it ended. */
  async #session(onConnected: () => void): Promise<string> {
    const { settings, clientId, connect, env } = this.#deps;
    this.#leave = new AbortController();
    this.#giveUp = new AbortController();
    this.#held = false;
    // A close while it was about to connect.
    if (this.#loop.signal.aborted) this.#leave.abort();
    const session = await connect({
      ...(await brokerLogin(settings, env)),
      clientId,
      clean: settings.qos === 0,
      subscribe: { [settings.topic]: settings.qos },
      onMessage: (topic, payload) => this.#take(topic, payload),
      signal: this.#leave.signal,
    });
    onConnected();
    const reason = await session.ended;
    this.#giveUp.abort();
    return reason;
  }

  #take(topic: string, payload: Buffer): MessagePace {
    const { intake, settings } = this.#deps;
    const { signal } = this.#giveUp;
    const type = settings.payload === "json" ? { contentType: "application/json" } : {};
    const done = intake.take({ name: topic, bytes: payload, ...type }, signal).then(async (taken) => {
      if (taken === "answered" && settings.qos === 1) return this.#safe(signal);
      return taken !== "closing";
    });
    this.#inHand.add(done);
    void done.then(() => this.#inHand.delete(done));
    return { readOn: this.#inHand.size < maxInHand ? Promise.resolve() : this.#oneDone(), done };
  }

  /** Waits until the answers are safe; false when they are not before the signal comes. */
  async #safe(signal: AbortSignal): Promise<boolean> {
    const { intake, clock } = this.#deps;
    for (;;) {
      try {
        await intake.safe();
        return true;
      } catch (error) {
        if (signal.aborted) return false;
        intake.standing.complain(messageOf(error), error);
        await clock.sleep(safeAgainMs, signal).catch(() => undefined);
      }
    }
  }

  /** Resolves when something in hand is done; leaves the broker when that takes too long. */
  async #oneDone(): Promise<void> {
    const { clock } = this.#deps;
    const enough = new AbortController();
    const tooLong = clock.sleep(holdLimitMs, enough.signal).then(
      () => {
        this.#held = true;
        this.#giveUp.abort();
        this.#leave.abort();
      },
      () => undefined,
    );
    await Promise.race([...this.#inHand, tooLong]);
    enough.abort();
  }
}
