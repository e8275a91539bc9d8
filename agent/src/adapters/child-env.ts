import { resolve } from "node:path";
import { runtimeVariable } from "@muster/shared/node";

/** The environment of a process that loads ONNX Runtime: the agent's own, with the build that it was told to use. */
export function childEnv(onnxruntime: string | undefined): NodeJS.ProcessEnv {
  return onnxruntime === undefined ? process.env : { ...process.env, [runtimeVariable]: resolve(onnxruntime) };
}
