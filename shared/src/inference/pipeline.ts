import type { Manifest } from "../model/manifest.js";
import type { Feature } from "../stats/histogram.js";
import type { Answer } from "./answer.js";
import type { DecodedBody, DecodedInput } from "./decoded-input.js";
import type { FeatureKinds, FeatureValues } from "./features.js";
import type { NamedTensor } from "./named-tensor.js";
import type { TensorMemory } from "./tensor-memory.js";

/** The part of a manifest or a bundle that says how inputs become tensors and outputs answers. */
export type PipelineSpec = PartOf<Manifest, "task" | "tensors" | "preprocess" | "postprocess">;
/** The same of one task. */
export type SpecOf<T extends PipelineSpec["task"]> = Extract<PipelineSpec, { task: T }>;
type PartOf<T, K extends keyof T> = T extends unknown ? Pick<T, K> : never;

/** What a self-test sample expects; its fields are those of the task. */
export type Expected = object;
/** How exact a self-test is; further fields are those of the task. */
export interface SelfTestLimits {
  readonly tolerance: number;
}

/** What was read from the outputs for one input. */
export interface Reading {
  /** What an application gets; survives JSON. */
  readonly answer: Answer;
  /** The class that counts in the windows; absent for tasks without classes. */
  readonly label?: string;
  /** What drift is measured on. On a large picture it costs milliseconds, so it is asked for only where it is counted. */
  features(): FeatureValues;
  /** What is wrong with it as the answer to a self-test sample, or undefined when it is as expected. */
  fault(expected: Expected, limits: SelfTestLimits): string | undefined;
}

/**
 * From bytes to an answer and what is measured of it, for one task. {@link pipelineOf} makes it of a manifest or bundle.
 * `decode` may run on any thread; all else is plain computing, and belongs beside the session.
 */
export interface Pipeline {
  /** Media types that `decode` takes. */
  readonly accepts: readonly string[];
  /**
   * Decodes a body. `contentType` may be empty: then the bytes must tell by themselves what they are. Throws `image/…` or
   * `input/…`, both the fault of who sent it.
   */
  decode(bytes: Uint8Array, contentType?: string): Promise<DecodedBody>;
  /** Whether `decode` keeps the thread it is called on busy, for tenths of a second with a large body. */
  readonly decodesInPlace: boolean;
  /**
   * The runs an input takes, one after the other; most take one. Shapes have a first dimension of 1. Large tensors are written
   * into `memory`, new memory when there is none given.
   */
  toRuns(input: DecodedInput, memory?: TensorMemory): NamedTensor[][];
  /** Outputs that are fed back as inputs of the next run; zeros in the first. */
  readonly states: readonly { readonly input: string; readonly output: string }[];
  /** Reads the outputs, one entry per run of `toRuns`. Throws `tensor/invalid`, `engine/failed`. */
  read(outputs: readonly (readonly NamedTensor[])[], input: DecodedInput): Reading;
  /** Features that `read` finds in the outputs alone; a task with labels has `class` among them. */
  readonly outputFeatures: readonly string[];
  /** An input of the usual size with nothing in it, to warm a session up with. */
  blank(): DecodedInput;
  /** The reference distributions of many readings' features. Throws RangeError without any. */
  baselineOf(values: readonly FeatureValues[], bins: number): Record<string, Feature>;
}

/** The first half of a pipeline, which knows one kind of input. */
export interface InputSide
  extends Pick<Pipeline, "accepts" | "decode" | "decodesInPlace" | "toRuns" | "states" | "blank"> {
  /** What drift of the inputs is measured on. */
  features(input: DecodedInput): FeatureValues;
  readonly featureKinds: FeatureKinds;
}

/** What the second half read; see {@link Reading}. `Expect` and `Limits` are those of the task's schema. */
export interface OutputReading<Expect extends object = Expected, Limits extends SelfTestLimits = SelfTestLimits> {
  readonly answer: Answer;
  readonly label?: string;
  readonly features: FeatureValues;
  fault(expected: Expect, limits: Limits): string | undefined;
}

/** The second half of a pipeline, which knows one kind of output. */
export interface OutputSide<Expect extends object = Expected, Limits extends SelfTestLimits = SelfTestLimits> {
  /** Throws `tensor/invalid`, `engine/failed`. */
  read(outputs: readonly (readonly NamedTensor[])[], input: DecodedInput): OutputReading<Expect, Limits>;
  readonly featureKinds: FeatureKinds;
}
