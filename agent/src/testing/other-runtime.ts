import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { runtimeVariable } from "@muster/shared/node";
import { temporaryFolder } from "../runner/testing.js";

const requireOfShared = createRequire(import.meta.resolve("@muster/shared"));

/** How the `cuda` of another build behaves. */
export type Behaviour =
  /** It takes every node, as far as ONNX Runtime says. */
  | "works"
  /** It starts, and leaves every node to the processor. */
  | "silent"
  /** Its library or driver is not there. */
  | "absent"
  /** It takes its process with it. */
  | "crashes";

/**
 * A build of ONNX Runtime as a package folder, which really is the installed one with a provider `cuda` in front of its
 * processor. Returns the environment of a process that loads it.
 */
export async function otherRuntime(cuda: Behaviour): Promise<NodeJS.ProcessEnv> {
  const folder = await temporaryFolder();
  const real = JSON.stringify(requireOfShared.resolve("onnxruntime-node"));
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "onnxruntime-node", main: "index.js" }));
  await writeFile(join(folder, "index.js"), source(real, cuda));
  return { ...process.env, [runtimeVariable]: folder };
}

function source(real: string, cuda: Behaviour): string {
  return `
const fs = require("node:fs");
const path = require("node:path");
const ort = require(${real});
const isCuda = (provider) => provider === "cuda" || provider?.name === "cuda";
async function create(model, options) {
  if (!options.executionProviders.some(isCuda)) return ort.InferenceSession.create(model, options);
  if (${JSON.stringify(cuda)} === "crashes") process.kill(process.pid, "SIGSEGV");
  if (${JSON.stringify(cuda)} === "absent") throw new Error("libcudart.so.12 cannot be opened");
  const session = await ort.InferenceSession.create(model, { ...options, executionProviders: ["cpu"] });
  const end = session.endProfiling.bind(session);
  session.endProfiling = () => {
    end();
    if (${JSON.stringify(cuda)} !== "works") return;
    const folder = path.dirname(options.profileFilePrefix);
    for (const name of fs.readdirSync(folder)) {
      const file = path.join(folder, name);
      fs.writeFileSync(file, fs.readFileSync(file, "utf8").replaceAll("CPUExecutionProvider", "CUDAExecutionProvider"));
    }
  };
  return session;
}
module.exports = {
  ...ort,
  InferenceSession: { create },
  listSupportedBackends: () => [{ name: "cpu", bundled: true }, { name: "cuda", bundled: true }],
};
`;
}
