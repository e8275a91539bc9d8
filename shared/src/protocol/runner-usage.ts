import { z } from "zod";
import { formatBytes } from "../units.js";

/** What all models of a runner take together, and may take. */
export const RunnerUsage = z.object({
  /** Engine threads; every model has one whatever the limit says. */
  workers: z.int(),
  maxWorkers: z.int(),
  /** Inputs that wait. */
  queued: z.int(),
  maxQueued: z.int(),
  rssBytes: z.int(),
  /** Past this the runner is started again; absent when nothing says so. */
  capBytes: z.int().optional(),
});
export type RunnerUsage = z.infer<typeof RunnerUsage>;

/** What a runner takes, for a person: threads, inputs and memory on one line. */
export function usageText({ workers, maxWorkers, queued, maxQueued, rssBytes, capBytes }: RunnerUsage): string {
  const memory = `${formatBytes(rssBytes)}${capBytes === undefined ? "" : ` of ${formatBytes(capBytes)}`} memory`;
  return `${workers} of ${maxWorkers} engine threads, ${queued} of ${maxQueued} inputs wait, ${memory}`;
}
