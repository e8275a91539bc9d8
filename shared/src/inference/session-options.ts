import type { InferenceSession } from "./onnxruntime.js";

type Providers = NonNullable<InferenceSession.SessionOptions["executionProviders"]>;

/**
 * What a session is asked to run on. TensorRT takes what it can and CUDA the rest. A TensorRT engine takes minutes to
 * build, so it is kept in `cacheDir`; the binding of the npm package does not hand these options on, one that was built
 * as docs/providers.md says does. See the options of the TensorRT execution provider, `trt_…`.
 */
export function executionProviders(provider: string, cacheDir: string | undefined): Providers {
  if (provider !== "tensorrt") return [provider];
  if (cacheDir === undefined) return ["tensorrt", "cuda"];
  const options = {
    trt_engine_cache_enable: "1",
    trt_engine_cache_path: cacheDir,
    trt_timing_cache_enable: "1",
    trt_timing_cache_path: cacheDir,
    trt_fp16_enable: "1",
  };
  // The types of the npm package know no options of TensorRT.
  return [{ name: "tensorrt", options } as Providers[number], "cuda"];
}
