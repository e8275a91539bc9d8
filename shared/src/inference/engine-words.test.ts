import assert from "node:assert/strict";
import { test } from "node:test";
import { engineWords } from "./engine-words.js";

/** What ONNX Runtime 1.30 says on a machine whose GPU is hidden. */
const hidden = `/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154 std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, SUCCTYPE, const char*, const char*, int) [with ERRTYPE = cudaError; bool THRW = true; SUCCTYPE = cudaError; std::conditional_t<THRW, void, common::Status> = void] /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:146 std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, SUCCTYPE, const char*, const char*, int) [with ERRTYPE = cudaError; bool THRW = true; SUCCTYPE = cudaError; std::conditional_t<THRW, void, common::Status> = void] CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=vm ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=352 ; expr=cudaSetDevice(info_.device_id); \n\n`;

test("what ONNX Runtime says is told without the places in its source", () => {
  assert.equal(engineWords(new Error(hidden)), "CUDA failure 100: no CUDA-capable device is detected");
  const check = "/src/webgpu_context.cc:136 operator() adapter_result.status was false. Failed to get a WebGPU adapter";
  assert.equal(engineWords(new Error(check)), "Failed to get a WebGPU adapter");
});

test("what it says plainly stays as it is", () => {
  assert.equal(engineWords("Failed to load shared library"), "Failed to load shared library");
  assert.equal(engineWords(new Error("a path /opt/x.cc:3 is odd")), "a path /opt/x.cc:3 is odd");
});
