import { z } from "zod";
import { AnomalyPostprocess, anomalyExpectation } from "./postprocess/anomaly.js";
import { ClassificationPostprocess, classExpectation } from "./postprocess/classification.js";
import { DetectionPostprocess, objectsExpectation, overlapLimits } from "./postprocess/detection.js";
import { EventsPostprocess, eventLimits, eventsExpectation } from "./postprocess/events.js";
import { RawPostprocess, rawExpectation } from "./postprocess/raw.js";
import { RegressionPostprocess, valueLimits, valuesExpectation } from "./postprocess/regression.js";
import { maskExpectation, SegmentationPostprocess } from "./postprocess/segmentation.js";
import { TextPostprocess, textExpectation } from "./postprocess/text.js";
import { boxesExpectation, TextDetectionPostprocess } from "./postprocess/text-detection.js";
import { AnyPreprocess } from "./preprocess/any.js";
import { AudioPreprocess } from "./preprocess/audio.js";
import { ImagePreprocess } from "./preprocess/image.js";

/** What is particular to a task: its input, its output, and what a self-test sample expects. */
export interface TaskSchema<
  T extends string,
  Pre extends z.ZodType,
  Post extends z.ZodType,
  Expect extends z.ZodRawShape,
  Limits extends z.ZodRawShape,
> {
  readonly task: T;
  readonly preprocess: Pre;
  readonly postprocess: Post;
  readonly expectation: Expect;
  /** How exact the self-test has to be; fields beside `samples`. */
  readonly limits: Limits;
}

function task<
  T extends string,
  Pre extends z.ZodType,
  Post extends z.ZodType,
  Expect extends z.ZodRawShape,
  Limits extends z.ZodRawShape,
>(schema: TaskSchema<T, Pre, Post, Expect, Limits>): TaskSchema<T, Pre, Post, Expect, Limits> {
  return schema;
}

/** How far each score may lie from the expected one. */
const scoreLimits = { tolerance: z.number().positive().max(1).default(0.05) };

const image = ImagePreprocess;
const any = AnyPreprocess;

/** Every task there is. `Bundle` and `Manifest` are unions with one member for each. */
export const tasks = {
  imageClassification: task({
    task: "image-classification",
    preprocess: image,
    postprocess: ClassificationPostprocess,
    ...{ expectation: classExpectation, limits: scoreLimits },
  }),
  objectDetection: task({
    task: "object-detection",
    preprocess: image,
    postprocess: DetectionPostprocess,
    ...{ expectation: objectsExpectation, limits: overlapLimits },
  }),
  textDetection: task({
    task: "text-detection",
    preprocess: image,
    postprocess: TextDetectionPostprocess,
    ...{ expectation: boxesExpectation, limits: overlapLimits },
  }),
  textRecognition: task({
    task: "text-recognition",
    preprocess: image,
    postprocess: TextPostprocess,
    ...{ expectation: textExpectation, limits: scoreLimits },
  }),
  segmentation: task({
    task: "segmentation",
    preprocess: image,
    postprocess: SegmentationPostprocess,
    ...{ expectation: maskExpectation, limits: overlapLimits },
  }),
  classification: task({
    task: "classification",
    preprocess: any,
    postprocess: ClassificationPostprocess,
    ...{ expectation: classExpectation, limits: scoreLimits },
  }),
  regression: task({
    task: "regression",
    preprocess: any,
    postprocess: RegressionPostprocess,
    ...{ expectation: valuesExpectation, limits: valueLimits },
  }),
  anomaly: task({
    task: "anomaly-detection",
    preprocess: any,
    postprocess: AnomalyPostprocess,
    ...{ expectation: anomalyExpectation, limits: valueLimits },
  }),
  audioEvents: task({
    task: "audio-events",
    preprocess: AudioPreprocess,
    postprocess: EventsPostprocess,
    ...{ expectation: eventsExpectation, limits: eventLimits },
  }),
  raw: task({
    task: "raw",
    preprocess: any,
    postprocess: RawPostprocess,
    ...{ expectation: rawExpectation, limits: valueLimits },
  }),
} as const;

/** The names of all tasks. */
export const taskNames: readonly string[] = Object.values(tasks).map((one) => one.task);
