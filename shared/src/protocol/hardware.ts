import { z } from "zod";

/** Facts of the machine an agent runs on. What an older agent does not know is absent. */
export const Hardware = z.object({
  platform: z.string(),
  arch: z.string(),
  board: z.string(),
  cpu: z.string(),
  cores: z.int(),
  memoryBytes: z.int(),
  freeDiskBytes: z.int(),
  /** Execution providers of the installed ONNX Runtime, whether or not they work here. */
  providers: z.array(z.string()),
  /** The loaded library; `build` changes with any of its files. */
  onnxruntime: z.object({ version: z.string(), build: z.string() }).optional(),
  /** Present on NVIDIA Jetson. */
  jetson: z.object({ module: z.string(), l4t: z.string().optional(), jetpack: z.string().optional() }).optional(),
  /** Processor features that decide how fast quantised models run, such as `dotprod`, `i8mm`, `avx512_vnni`. */
  features: z.array(z.string()).max(64).optional(),
  /** Cores of the same speed, the fastest first; hyperthreads of one core count once. */
  clusters: z
    .array(z.object({ cores: z.int(), cpu: z.string().optional(), maxMhz: z.int().optional() }))
    .max(16)
    .optional(),
  gpus: z
    .array(
      z.object({
        name: z.string(),
        /** Memory of its own; absent when it is not told. */
        memoryBytes: z.int().optional(),
        /** It uses the memory of the processor. */
        shared: z.boolean(),
      }),
    )
    .max(16)
    .optional(),
  /** Degrees Celsius per thermal zone. */
  temperatures: z
    .array(z.object({ zone: z.string(), celsius: z.number() }))
    .max(64)
    .optional(),
  /** What holds the processor back now, or has since it started; empty when nothing does. */
  throttling: z.array(z.string()).max(16).optional(),
  power: z.object({ mode: z.string().optional(), governor: z.string().optional() }).optional(),
  /** Accelerators that are seen, whether or not ONNX Runtime can use them. */
  accelerators: z.array(z.string()).max(16).optional(),
});
export type Hardware = z.infer<typeof Hardware>;
