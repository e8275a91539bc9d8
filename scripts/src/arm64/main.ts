import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { messageOf } from "@muster/shared";
import { CannotFetch } from "../fetch/cannot-fetch.js";
import { packAgent } from "../pack/pack-agent.js";
import { emulatedBoard } from "./emulated-board.js";

const usage = `npm run test:arm64 [-- --or-skip]

Packs the agent for linux-arm64 and tests the package on an emulated Raspberry Pi 4. Needs Debian's apt-get; fetches
some 135 MB at the first run.
  --or-skip   exit code 0 when packages cannot be fetched
`;
const checkout = fileURLToPath(new URL("../../..", import.meta.url));
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "muster", "arm64");
/** The test file is ended after this. */
const limitMs = 15 * 60_000;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  if (args.some((arg) => arg !== "--or-skip")) {
    process.stderr.write(usage);
    return 2;
  }
  const work = await mkdtemp(join(tmpdir(), "muster-arm64-"));
  try {
    return await testPackage(work);
  } catch (error) {
    const skipped = error instanceof CannotFetch && args.includes("--or-skip");
    process.stderr.write(`${skipped ? "SKIPPED, nothing was tested on arm64" : "error"}: ${messageOf(error)}\n`);
    return skipped ? 0 : 1;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Tests what a device would get: the packed file, unpacked. */
async function testPackage(work: string): Promise<number> {
  const node = await emulatedBoard(cache, work);
  const { file, name } = await packAgent(checkout, "linux-arm64", work);
  await promisify(execFile)("tar", ["-xzf", file, "-C", work]);
  const board = { MUSTER_TEST_ARM64_NODE: node, MUSTER_TEST_ARM64_AGENT: join(work, name, "bin", "muster-agent.js") };
  const tests = [join(checkout, "scripts", "run-tests.mjs"), "test/src/arm64", `--test-timeout=${limitMs}`];
  const { status } = spawnSync(process.execPath, tests, { stdio: "inherit", env: { ...process.env, ...board } });
  return status ?? 1;
}
