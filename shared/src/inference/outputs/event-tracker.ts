import type { EventsPostprocess } from "../../model/postprocess/events.js";
import type { EventsAnswer } from "../answer.js";

type Event = EventsAnswer["events"][number];
type Rules = Pick<EventsPostprocess, "threshold" | "endThreshold" | "gapMs" | "minMs">;

interface Span {
  readonly from: number;
  /** The frame after the last one. */
  to: number;
  confidence: number;
}

/**
 * The events of one label, frame by frame: from a frame at the threshold to one below the lower one, joined over short pauses.
 * An event is told once nothing can be joined to it any more.
 */
export class EventTracker {
  readonly #label: string;
  readonly #frameMs: number;
  readonly #rules: Rules;
  #frame: number;
  #open: Span | undefined;
  /** Over, but what comes soon would be joined to it. */
  #pending: Span | undefined;

  /** The first frame has the number `frame`. */
  constructor(label: string, frameMs: number, rules: Rules, frame = 0) {
    this.#label = label;
    this.#frameMs = frameMs;
    this.#rules = rules;
    this.#frame = frame;
  }

  /** Whether an event goes on now. */
  get active(): boolean {
    return this.#open !== undefined;
  }

  /** Takes the scores of the next frames and returns the events that are over. */
  push(scores: readonly number[]): Event[] {
    const { threshold, endThreshold } = this.#rules;
    const told: Event[] = [];
    for (const score of scores) {
      const at = this.#frame;
      if (this.#open === undefined) {
        told.push(...this.#tellPending(at));
        if (score >= threshold) this.#open = { from: at, to: at + 1, confidence: score };
      } else if (score < endThreshold) this.#close(at);
      else this.#open.confidence = Math.max(this.#open.confidence, score);
      this.#frame += 1;
    }
    return told;
  }

  /** Ends what is open, because nothing comes any more. */
  finish(): Event[] {
    if (this.#open !== undefined) this.#close(this.#frame);
    return this.#tellPending(Number.POSITIVE_INFINITY);
  }

  #close(at: number): void {
    const span = this.#open;
    this.#open = undefined;
    if (span === undefined) return;
    const before = this.#pending;
    if (before === undefined) this.#pending = { ...span, to: at };
    else this.#pending = { ...before, to: at, confidence: Math.max(before.confidence, span.confidence) };
  }

  /** What is over, when an event that begins at this frame would be another one. */
  #tellPending(at: number): Event[] {
    const { gapMs, minMs } = this.#rules;
    const span = this.#pending;
    if (span === undefined || at * this.#frameMs - span.to * this.#frameMs < gapMs) return [];
    this.#pending = undefined;
    const event = {
      label: this.#label,
      startMs: span.from * this.#frameMs,
      endMs: span.to * this.#frameMs,
      confidence: span.confidence,
    };
    return event.endMs - event.startMs >= minMs ? [event] : [];
  }
}
