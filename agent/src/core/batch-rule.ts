import type { Batching } from "@muster/shared";
import type { BatchRule } from "./line.js";

/** How inputs of a version share runs: as its bundle says within what this device gives, else as this device does. */
export function batchRuleOf(wished: Batching | undefined, usual: BatchRule, most: BatchRule): BatchRule {
  if (wished === undefined) return usual;
  return {
    maxRows: Math.min(wished.maxRows, most.maxRows),
    maxDelayMs: Math.min(wished.maxDelayMs, most.maxDelayMs),
  };
}
