import assert from "node:assert/strict";
import { test } from "node:test";
import { executionProviders } from "./session-options.js";

test("TensorRT keeps what it builds in the folder that it is given, and without one keeps nothing", () => {
  const [tensorrt, next] = executionProviders("tensorrt", "/engines/a");
  assert.deepEqual([JSON.stringify(tensorrt).match(/"[/]engines[/]a"/g)?.length, next], [2, "cuda"]);
  const [without, behind] = executionProviders("tensorrt", undefined);
  assert.deepEqual(
    [without, behind],
    [{ name: "tensorrt", options: { trt_fp16_enable: "1" } } as unknown as typeof without, "cuda"],
  );
});

test("another provider is asked for by its name", () => {
  assert.deepEqual(executionProviders("webgpu", "/engines/a"), ["webgpu"]);
});
