import type { EventsExpectation, EventsPostprocess } from "../../model/postprocess/events.js";
import { outputOf } from "../../model/postprocess/output.js";
import type { AudioPreprocess } from "../../model/preprocess/audio.js";
import type { Tensors } from "../../model/tensors.js";
import type { EventsAnswer } from "../answer.js";
import { floatsOf } from "../named-tensor.js";
import type { OutputSide, SelfTestLimits } from "../pipeline.js";
import { checkNumber } from "./check-number.js";
import { nothing } from "./detection.js";
import { EventTracker } from "./event-tracker.js";

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

/** The events of one label in a whole recording. */
export function eventsOf(label: string, scores: readonly number[], frameMs: number, spec: EventsPostprocess): Event[] {
  const tracker = new EventTracker(label, frameMs, spec);
  return [...tracker.push(scores), ...tracker.finish()];
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
