import { z } from "zod";

/** The numeric precision a variant was built with. */
export const Precision = z.enum(["fp32", "fp16", "int8-qdq", "int8-weights"]);
export type Precision = z.infer<typeof Precision>;

/** What a version promises of itself; a trial on the device holds it to that. */
export const Budgets = z.strictObject({
  /** The 95th percentile of one input, from bytes to answer. */
  p95LatencyMs: z.number().positive().optional(),
  /** Resident memory of the process that runs the model; what a GPU's libraries take by themselves does not count. */
  memoryMb: z.number().positive().optional(),
});
export type Budgets = z.infer<typeof Budgets>;

/** What a device has to be so that it is offered a version at all. */
export const Requirements = z.strictObject({
  /** The oldest agent that can run it. */
  agent: z
    .string()
    .regex(/^\d+\.\d+\.\d+$/, "must be a version such as 0.2.0")
    .optional(),
  /** Processor architectures as Node.js names them: `arm64`, `x64` … */
  arch: z.array(z.string().min(1)).min(1).optional(),
});
export type Requirements = z.infer<typeof Requirements>;
