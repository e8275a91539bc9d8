// `node scripts/dist/tools/main.js COMMAND …`: runs a command with the tools on its PATH that tests and benchmarks call. What the
// machine does not have is unpacked once into the cache of the user; the machine stays as it is.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { messageOf } from "@muster/shared";
import { madeOnce } from "../fetch/made-once.js";
import { isOnMachine, unpackTools } from "./unpacked-tools.js";

/** The tools of tests and benchmarks, and the Debian packages that have them. */
const tools: Readonly<Record<string, string>> = {
  curl: "curl",
  ffmpeg: "ffmpeg",
  mosquitto: "mosquitto",
  mosquitto_passwd: "mosquitto",
  mosquitto_pub: "mosquitto-clients",
  mosquitto_sub: "mosquitto-clients",
  openssl: "openssl",
};
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "muster", "tools");

process.exitCode = await main(process.argv.slice(2));

async function main([command = "", ...args]: readonly string[]): Promise<number> {
  const path = process.env.PATH ?? "";
  const folders = [path, "/usr/sbin", "/sbin"];
  try {
    folders.unshift(...(await fetched(path)));
  } catch (error) {
    process.stderr.write(`Tests that need a tool of another project will fail or be skipped: ${messageOf(error)}\n`);
  }
  const env = { ...process.env, PATH: folders.join(delimiter) };
  const { status, error } = spawnSync(command, args, { stdio: "inherit", env });
  if (error !== undefined) process.stderr.write(`cannot run ${command}: ${error.message}\n`);
  return status ?? 1;
}

/** The folder of the tools that the machine does not have; none when it has all. */
async function fetched(path: string): Promise<string[]> {
  const missing: Record<string, string> = {};
  for (const [tool, from] of Object.entries(tools)) if (!(await isOnMachine(tool, path))) missing[tool] = from;
  if (Object.keys(missing).length === 0) return [];
  const name = createHash("sha256").update(JSON.stringify(missing)).digest("hex").slice(0, 16);
  const folder = await madeOnce(join(cache, name), async (unfinished) => {
    process.stdout.write(`Fetching ${Object.keys(missing).join(", ")} for tests, once.\n`);
    await unpackTools(unfinished, missing);
  });
  return [join(folder, "bin")];
}
