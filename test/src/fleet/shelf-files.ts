import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { sha256 } from "@muster/shared";
import type { AgentMachine } from "./fleet.js";

/** What a device has on its shelf: names of whole blobs, and of files of partial ones. */
export async function shelfFiles({ dataDir }: AgentMachine): Promise<{ blobs: string[]; partials: string[] }> {
  const models = join(dataDir, "models");
  return { blobs: await readdir(join(models, "blobs")), partials: await readdir(join(models, "partials")) };
}

/** Where a blob of a device lies. */
export function blobPath({ dataDir }: AgentMachine, digest: string): string {
  return join(dataDir, "models", "blobs", digest);
}

/** Bytes that a device has written of a blob which is not whole yet. */
export async function partialBytes({ dataDir }: AgentMachine, digest: string): Promise<number> {
  const found = await stat(join(dataDir, "models", "partials", `${digest}.part`)).catch(() => undefined);
  return (found?.blocks ?? 0) * 512;
}

/** Blobs of a device whose bytes are not what their names say. */
export async function damagedBlobs(machine: AgentMachine): Promise<string[]> {
  const damaged: string[] = [];
  for (const digest of (await shelfFiles(machine)).blobs) {
    if (sha256(await readFile(blobPath(machine, digest))) !== digest) damaged.push(digest);
  }
  return damaged;
}
