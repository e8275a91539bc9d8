import { z } from "zod";
import type { Problem } from "../errors.js";
import type { Budgets } from "./promises.js";
import { hasFreeBatch, type Tensors } from "./tensors.js";

/** How inputs of a version share runs, where a device leaves it to the model. */
export const Batching = z.strictObject({
  /** Inputs in one run at most. */
  maxRows: z.int().min(1).max(256),
  /** How long an input may wait for others although a thread is free. */
  maxDelayMs: z.number().min(0).max(1000).default(0),
});
export type Batching = z.infer<typeof Batching>;

/** Where a version asks for shared runs that it cannot have. */
export function batchingProblems({
  batching,
  tensors,
  budgets,
  preprocess,
}: {
  readonly batching?: Batching | undefined;
  readonly tensors: Tensors;
  readonly budgets: Budgets;
  readonly preprocess: { readonly states?: readonly unknown[] } | object;
}): Problem[] {
  if (batching === undefined) return [];
  const problems: Problem[] = [];
  if (batching.maxRows > 1 && !hasFreeBatch(tensors)) {
    const message =
      "needs a free batch dimension: give the first dimension of every input and output the same name, or leave batching out";
    problems.push({ field: "batching.maxRows", message });
  }
  if (batching.maxRows > 1 && "states" in preprocess && (preprocess.states?.length ?? 0) > 0) {
    problems.push({
      field: "batching.maxRows",
      message: "a model with states runs one input at a time; leave batching out",
    });
  }
  const { p95LatencyMs } = budgets;
  if (p95LatencyMs !== undefined && batching.maxDelayMs >= p95LatencyMs) {
    const message = `is all of budgets.p95LatencyMs, ${p95LatencyMs}; wait less, or promise less`;
    problems.push({ field: "batching.maxDelayMs", message });
  }
  return problems;
}
