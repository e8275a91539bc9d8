import { z } from "zod";
import type { Problem } from "../../errors.js";
import { TensorName, type Tensors } from "../tensors.js";
import { ClassLabels, labelsFile } from "./classification.js";
import { outputProblems, unknownLabel } from "./output.js";

/** How the scores of a recording's frames, `[1, labels]` each, become events with a beginning and an end. */
export const EventsPostprocess = z.strictObject({
  labels: ClassLabels.max(1000).default([]),
  labelsFile,
  /** An event begins at a frame with at least this score … */
  threshold: z.number().min(0).max(1).default(0.5),
  /** … and goes on while the score does not fall below this. */
  endThreshold: z.number().min(0).max(1).default(0.35),
  /** Pauses shorter than this are part of the event. */
  gapMs: z.number().min(0).max(60_000).default(100),
  /** Shorter events are left out. */
  minMs: z.number().min(0).max(60_000).default(0),
  output: TensorName.optional(),
});
export type EventsPostprocess = z.infer<typeof EventsPostprocess>;

/** How exact events of a self-test have to be. */
export const eventLimits = {
  tolerance: z.number().positive().max(1).default(0.1),
  /** How far the beginning and the end of an event may lie from the expected ones. */
  toleranceMs: z.number().positive().max(60_000).default(100),
};

/** What a self-test sample expects: all its events. */
export const eventsExpectation = {
  events: z.array(z.strictObject({ label: z.string().min(1), startMs: z.number().min(0), endMs: z.number().min(0) })),
};
export type EventsExpectation = z.infer<z.ZodObject<typeof eventsExpectation>>;

/** Where labels do not fit the output or the samples. */
export function eventsProblems(
  { labels, output }: EventsPostprocess,
  tensors: Tensors,
  samples: readonly EventsExpectation[],
): Problem[] {
  const shapes = [["n", labels.length], ...(labels.length === 1 ? [["n"], ["n", 1, 1]] : [["n", 1, labels.length]])];
  const unknown = samples.flatMap(({ events }, at) =>
    events.flatMap(({ label }, i) => unknownLabel(`selfTest.samples[${at}].expect.events[${i}].label`, label, labels)),
  );
  return [...outputProblems(tensors, output, shapes), ...unknown];
}
