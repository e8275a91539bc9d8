import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { MusterError, messageOf } from "../errors.js";
import { runtimeVariable } from "../node/runtime-variable.js";

export type { InferenceSession } from "onnxruntime-node";

const require = createRequire(import.meta.url);
const { library, entry } = load(process.env[runtimeVariable]);

/** The inference library of this process. */
export const ort = library;

/** A folder is resolved by its own package.json, as npm would. */
function load(folder = "onnxruntime-node"): { library: typeof import("onnxruntime-node"); entry: string } {
  try {
    return { library: require(folder), entry: require.resolve(folder) };
  } catch (cause) {
    throw new MusterError("engine/failed", `ONNX Runtime cannot be loaded from ${folder}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** The execution providers the loaded ONNX Runtime brings along. */
export function installedProviders(): string[] {
  return ort
    .listSupportedBackends()
    .filter(({ bundled }) => bundled)
    .map(({ name }) => name);
}

/** The execution providers it could use, if their libraries were installed beside it. */
export function knownProviders(): string[] {
  return ort.listSupportedBackends().map(({ name }) => name);
}

/** The version of the loaded ONNX Runtime. */
export function runtimeVersion(): string {
  return ort.env.versions.node ?? ort.env.versions.common;
}

/** Names this build: its version and what its native files are. Two builds of one version differ in it. */
export function runtimeBuild(): string {
  const hash = createHash("sha256").update(`${runtimeVersion()} ${process.platform} ${process.arch}`);
  const binaries = join(dirname(entry), "..", "bin", "napi-v6", process.platform, process.arch);
  for (const name of filesOf(binaries)) {
    const path = join(binaries, name);
    // The library is tens of megabytes: its size and its head tell builds apart, and this runs with every start.
    hash.update(`${name} ${statSync(path).size} `);
    if (name.endsWith(".node")) hash.update(readFileSync(path));
  }
  return hash.digest("hex").slice(0, 16);
}

function filesOf(binaries: string): string[] {
  try {
    return readdirSync(binaries).sort();
  } catch {
    // A package may keep its library elsewhere; then its version has to do.
    return [];
  }
}
