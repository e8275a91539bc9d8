import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeAgentPackage } from "./agent-package.js";
import { platformOf } from "./platform.js";

/** A packed agent. */
export interface PackedAgent {
  /** The `.tar.gz`. */
  readonly file: string;
  /** The one folder in it. */
  readonly name: string;
  readonly unpackedBytes: number;
}

/** Packs the agent of a checkout for a platform such as `linux-arm64` into a folder. Throws `usage/invalid`. */
export async function packAgent(checkout: string, platformName: string, out: string): Promise<PackedAgent> {
  const platform = platformOf(platformName);
  const { version } = JSON.parse(await readFile(join(checkout, "package.json"), "utf8")) as { version: string };
  const name = `muster-agent-${version}-${platformName}`;
  const file = join(out, `${name}.tar.gz`);
  const work = await mkdtemp(join(tmpdir(), "muster-pack-"));
  try {
    const unpackedBytes = await makeAgentPackage(checkout, platform, join(work, name));
    await mkdir(out, { recursive: true });
    const owner = ["--owner=0", "--group=0", "--numeric-owner"];
    await promisify(execFile)("tar", [...owner, "-czf", `${file}.partial`, "-C", work, name]);
    await rename(`${file}.partial`, file);
    return { file, name, unpackedBytes };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
