import type { InferenceSession } from "./onnxruntime.js";

type Providers = NonNullable<InferenceSession.SessionOptions["executionProviders"]>;

/**
 * What a session is asked to run on. TensorRT takes what it can and CUDA the rest. A TensorRT engine takes minutes to
 * build, so it is kept in `cacheDir` when there is one; the binding of the npm package does not hand these options on, one
 * that was built as docs/providers.md says does. See the options of the TensorRT execution provider, `trt_…`.
 */
export function executionProviders(provider: string, cacheDir: string | undefined): Providers {
  if (provider !== "tensorrt") return [provider];
  const kept = {
    trt_engine_cache_enable: "1",
    trt_engine_cache_path: cacheDir,
    trt_timing_cache_enable: "1",
    trt_timing_cache_path: cacheDir,
  };
  const options = { trt_fp16_enable: "1", ...(cacheDir === undefined ? {} : kept) };
  // The types of the npm package know no options of TensorRT.
  return [{ name: "tensorrt", options } as Providers[number], "cuda"];
}
