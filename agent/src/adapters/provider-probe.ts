import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { RuntimeProbe } from "../ports.js";

/** What a process says of the library, and of one provider. */
export type RuntimeAnswer =
  | { readonly error: string }
  | {
      readonly version: string;
      readonly build: string;
      readonly known: readonly string[];
      readonly bundled: readonly string[];
    };
export interface ProviderAnswer {
  readonly fault?: string;
}

/** A GPU's library takes its time to load; none takes longer than this. */
const timeoutMs = 60_000;

/** Asks what ONNX Runtime is, and tries each of its providers. */
export async function probeRuntime(env: NodeJS.ProcessEnv): Promise<RuntimeProbe> {
  const runtime = await ask<RuntimeAnswer>([], env);
  if (typeof runtime === "string" || "error" in runtime) {
    const error = typeof runtime === "string" ? `loading ONNX Runtime ${runtime}` : runtime.error;
    return { version: "unknown", build: "unknown", providers: [], error };
  }
  const { version, build, known, bundled } = runtime;
  const providers: RuntimeProbe["providers"][number][] = [];
  for (const provider of known) {
    const said = await ask<ProviderAnswer>([provider], env);
    const fault = typeof said === "string" ? `trying it ${said}` : said.fault;
    providers.push({ provider, bundled: bundled.includes(provider), ...(fault === undefined ? {} : { fault }) });
  }
  return { version, build, providers };
}

/** Why another build of ONNX Runtime cannot be loaded; undefined when it can. */
export async function runtimeFault(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const runtime = await ask<RuntimeAnswer>([], env);
  if (typeof runtime === "string") return `loading it ${runtime}`;
  return "error" in runtime ? runtime.error : undefined;
}

/** What a process of its own answers, or how it ended without an answer. */
function ask<T extends object>(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<T | string> {
  return new Promise((resolve) => {
    const child = fork(fileURLToPath(new URL("./provider-probe-main.js", import.meta.url)), argv, {
      env,
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, timeoutMs);
    child.once("message", (answer) => resolve(answer as T));
    child.once("error", (error) => resolve(`failed: ${error.message}`));
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      resolve(late ? `took longer than ${timeoutMs / 1000} s` : `ended with ${signal ?? `exit code ${code}`}`);
    });
  });
}
