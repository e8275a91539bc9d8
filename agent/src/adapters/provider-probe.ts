import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { ProviderProbe } from "../ports.js";

const timeoutMs = 30_000;

/** Asks in a process of its own, since a library that does not fit the machine may kill it. */
export function probeProviders(): Promise<ProviderProbe> {
  return new Promise((resolve) => {
    const child = fork(fileURLToPath(new URL("./provider-probe-main.js", import.meta.url)), [], {
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    child.once("message", (probe: ProviderProbe) => resolve(probe));
    child.once("error", (error) => resolve({ version: "unknown", working: [], error: error.message }));
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      resolve({
        version: "unknown",
        working: [],
        error: `loading ONNX Runtime ended with ${signal ?? `exit code ${code}`}`,
      });
    });
  });
}
