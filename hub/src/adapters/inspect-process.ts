import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type ErrorCode, MusterError } from "@muster/shared";
import type { InspectAnswer } from "../inspect/main.js";
import type { InspectResult, ModelInspector } from "../ports.js";

const timeoutMs = 15 * 60_000;

/** Inspects models in a process of their own: a file that crashes ONNX Runtime must not take the hub down. */
export const inspectProcess: ModelInspector = {
  inspect: (task) =>
    new Promise<InspectResult>((resolve, reject) => {
      const child = fork(fileURLToPath(new URL("../inspect/main.js", import.meta.url)), [], {
        serialization: "advanced",
        stdio: ["ignore", "ignore", "ignore", "ipc"],
        execArgv: [],
      });
      const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
      child.once("message", (answer: InspectAnswer) => {
        if (answer.ok) return resolve(answer.result);
        reject(new MusterError(answer.code as ErrorCode, answer.message, { problems: answer.problems }));
      });
      child.once("error", reject);
      // After an answer this rejects a settled promise, which does nothing.
      child.once("exit", (code, signal) => {
        clearTimeout(timer);
        const how = signal === null ? `exit code ${code}` : signal;
        reject(
          new MusterError(
            "bundle/model-unreadable",
            `inspecting the model ended with ${how}; the file crashes ONNX Runtime`,
          ),
        );
      });
      child.send(task);
    }),
};
