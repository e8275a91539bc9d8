import type { EventsExpectation, EventsPostprocess } from "../../model/postprocess/events.js";
import { outputOf } from "../../model/postprocess/output.js";
import type { AudioPreprocess } from "../../model/preprocess/audio.js";
import type { Tensors } from "../../model/tensors.js";
import type { EventsAnswer } from "../answer.js";
import { floatsOf } from "../named-tensor.js";
import type { OutputSide, SelfTestLimits } from "../pipeline.js";
import { checkNumber } from "./check-number.js";
import { nothing } from "./detection.js";

type Event = EventsAnswer["events"][number];

/** How exact found events have to be. */
export interface EventLimits extends SelfTestLimits {
  readonly toleranceMs: number;
}

/** Events with a beginning and an end, out of one score per label and frame. */
export function eventsOutput(
  spec: EventsPostprocess,
  tensors: Tensors,
  { frame, rate }: AudioPreprocess,
): OutputSide<EventsExpectation, EventLimits> {
  const name = outputOf(tensors, spec.output)?.name ?? "";
  const frameMs = (1000 * (frame?.hop ?? frame?.samples ?? 0)) / rate;
  return {
    featureKinds: { events: "number", active: "number", score: "number", class: [...spec.labels, nothing] },
    read(outputs) {
      const frames = outputs.map((one) => floatsOf(one, name));
      const scoresOf = (at: number) => frames.map((scores) => checkNumber(scores[at] ?? Number.NaN));
      const all = spec.labels.map((label, at) => ({ label, scores: scoresOf(at) }));
      const events = all
        .flatMap(({ label, scores }) => eventsOf(label, scores, frameMs, spec))
        .sort((a, b) => a.startMs - b.startMs);
      const [longest] = [...events].sort((a, b) => b.endMs - b.startMs - (a.endMs - a.startMs));
      const label = longest?.label ?? nothing;
      const values = all.flatMap(({ scores }) => scores);
      const active = values.filter((score) => score >= spec.threshold).length / Math.max(1, values.length);
      const score = values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
      return {
        answer: { events },
        label,
        features: { events: events.length, active, score, class: label },
        fault: (expected, { toleranceMs }) => eventsFault(events, expected.events, toleranceMs),
      };
    },
  };
}

/** The events of one label: from a frame at the threshold to one below the lower one, joined over short pauses. */
export function eventsOf(
  label: string,
  scores: readonly number[],
  frameMs: number,
  { threshold, endThreshold, gapMs, minMs }: EventsPostprocess,
): Event[] {
  const found: Event[] = [];
  let open: { from: number; confidence: number } | undefined;
  const close = (at: number) => {
    if (open === undefined) return;
    const event = { label, startMs: open.from * frameMs, endMs: at * frameMs, confidence: open.confidence };
    const before = found.at(-1);
    if (before === undefined || event.startMs - before.endMs >= gapMs) found.push(event);
    else found[found.length - 1] = { ...before, ...merged(before, event) };
    open = undefined;
  };
  for (const [at, score] of scores.entries()) {
    if (open === undefined) {
      if (score >= threshold) open = { from: at, confidence: score };
    } else if (score < endThreshold) close(at);
    else open.confidence = Math.max(open.confidence, score);
  }
  close(scores.length);
  return found.filter(({ startMs, endMs }) => endMs - startMs >= minMs);
}

function merged(before: Event, event: Event): Pick<Event, "endMs" | "confidence"> {
  return { endMs: event.endMs, confidence: Math.max(before.confidence, event.confidence) };
}

function eventsFault(
  events: readonly Event[],
  expected: EventsExpectation["events"],
  toleranceMs: number,
): string | undefined {
  const text = (list: readonly Pick<Event, "label" | "startMs" | "endMs">[]) =>
    list.map(({ label, startMs, endMs }) => `${label} ${Math.round(startMs)}–${Math.round(endMs)} ms`).join(", ") ||
    "none";
  const same =
    events.length === expected.length &&
    [...expected]
      .sort((a, b) => a.startMs - b.startMs)
      .every(({ label, startMs, endMs }, at) => {
        const event = events[at];
        const near = (a = Number.NaN, b = 0) => Math.abs(a - b) <= toleranceMs;
        return event?.label === label && near(event.startMs, startMs) && near(event.endMs, endMs);
      });
  return same ? undefined : `expected ${text(expected)} within ${toleranceMs} ms, found ${text(events)}`;
}
