import { MusterError } from "@muster/shared";
import type { Client } from "aedes";
import { Pace } from "../core/pace.js";

/** Bytes of one MQTT packet a device may send before and after it is known. */
export const packetLimits = { beforeLogin: 16 * 1024, afterLogin: 300 * 1024 };

interface Parser {
  _parseLength(): boolean;
  packet: { length: number };
}

/**
 * Refuses a packet by its declared length, before its bytes are collected: aedes 1.2 takes packets
 * of 256 MiB, also from who has not logged in. The parser is private API; a test holds on to it.
 */
export function limitPackets(client: Client, refused: () => void): void {
  const { _parser: parser } = client as unknown as { _parser: Parser };
  const parseLength = parser._parseLength.bind(parser);
  parser._parseLength = () => {
    const known = parseLength();
    const limit = client.connected ? packetLimits.afterLogin : packetLimits.beforeLogin;
    if (!known || parser.packet.length <= limit) return known;
    refused();
    client.conn.destroy(
      new MusterError("message/invalid", `packet of ${parser.packet.length} bytes, at most ${limit} are taken`),
    );
    return false;
  };
}

/**
 * Turns aedes' duplicate filter off. It drops a QoS 1 message that a later QoS 0 one has overtaken
 * (aedes issue 994), and our messages are idempotent.
 */
export function disableDuplicateFilter(client: Client): void {
  (client as unknown as { duplicates: object }).duplicates = new Proxy({}, { get: () => 0, set: () => true });
}

/** A device that is so far ahead of its rate is not slowed any more but cut off. */
const floodMs = 30_000;

interface Line {
  readonly pace: Pace;
  /** Messages that wait, in the order in which they came. */
  readonly waiting: { readonly client: Client; readonly goOn: () => void; readonly dueMs: number }[];
}

/**
 * Slows devices that send more than they may: aedes reads no more of a connection until every message
 * it has read went on, so what waits here is at most what was read at once.
 */
export class MessagePaces {
  readonly #perSecond: number;
  readonly #lines = new Map<string, Line>();

  /** 0 for no limit. A burst of two seconds' worth goes without a wait. */
  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Goes on with the client's message at once or after a while; not at all when that while is too long. */
  wait(client: Client, goOn: () => void): "at-once" | "delayed" | "flood" {
    const nowMs = performance.now();
    const pace = new Pace(this.#perSecond, nowMs, 2 * this.#perSecond);
    const line = this.#lines.get(client.id) ?? { pace, waiting: [] };
    this.#lines.set(client.id, line);
    const waitMs = line.pace.take(1, nowMs);
    if (waitMs > floodMs) return "flood";
    if (waitMs <= 0 && line.waiting.length === 0) {
      goOn();
      return "at-once";
    }
    line.waiting.push({ client, goOn, dueMs: nowMs + waitMs });
    // One timer for the line: timers of their own would let messages overtake each other.
    if (line.waiting.length === 1) this.#later(line, waitMs);
    return "delayed";
  }

  #later(line: Line, waitMs: number): void {
    const timer = setTimeout(() => {
      const nowMs = performance.now();
      const due = line.waiting.findIndex(({ dueMs }) => dueMs > nowMs);
      const now = line.waiting.slice(0, due < 0 ? line.waiting.length : due);
      // They stay in line until they went on, so that one that comes meanwhile goes behind them.
      for (const { client, goOn } of now) if (!client.closed) goOn();
      line.waiting.splice(0, now.length);
      const [first] = line.waiting;
      if (first !== undefined) this.#later(line, first.dueMs - performance.now());
    }, waitMs);
    // What waits of a closed broker keeps nobody.
    timer.unref();
  }
}
