import { z } from "zod";

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
