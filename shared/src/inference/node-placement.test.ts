import assert from "node:assert/strict";
import { test } from "node:test";
import { actualProvider, ProfileFolder, placementOf } from "./node-placement.js";
import { ort } from "./onnxruntime.js";
import { providerFault } from "./provider-check.js";

const node = (provider: string) => ({ cat: "Node", name: "n_kernel_time", args: { provider, dur: "1" } });

test("a profile tells on which provider every node ran", () => {
  const events = [
    { cat: "Session", name: "model_run", args: {} },
    ...["CUDAExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider", "DmlExecutionProvider"].map(node),
  ];
  assert.deepEqual(placementOf(JSON.stringify(events)), { cuda: 2, cpu: 1, dml: 1 });
  assert.throws(() => placementOf("{}"));
});

test("a session that left every node to the processor has fallen, one that left some has not", () => {
  assert.equal(actualProvider("tensorrt", { tensorrt: 1, cpu: 5 }), "tensorrt");
  assert.equal(actualProvider("tensorrt", { cuda: 5, cpu: 2 }), "cuda");
  assert.equal(actualProvider("webgpu", { cpu: 7 }), "cpu");
  assert.equal(actualProvider("cuda", {}), "cuda", "a model without nodes has nowhere to fall");
});

test("the profile that ONNX Runtime really writes is understood", async () => {
  const profile = await ProfileFolder.make();
  const model = Buffer.from(
    "CAQ6OwoMCgF4EgF5IgRSZWx1EgFnWhMKAXgSDgoMCAESCAoCCAEKAggCYhMKAXkSDgoMCAESCAoCCAEKAggCQgQKABAJ",
    "base64",
  );
  const session = await ort.InferenceSession.create(model, {
    enableProfiling: true,
    profileFilePrefix: profile.prefix,
  });
  await session.run({ x: new ort.Tensor("float32", [-1, 2], [1, 2]) });
  session.endProfiling();
  assert.deepEqual(await profile.take(), { cpu: 1 });
  await session.release();
});

test("the processor always works, and a provider that this build does not have says so", async () => {
  assert.equal(await providerFault("cpu"), undefined);
  assert.match((await providerFault("abacus")) ?? "", /cannot load the model on abacus/);
});
