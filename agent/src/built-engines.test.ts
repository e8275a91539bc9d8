import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { BuiltEngine, maxEngineFiles, sha256 } from "@muster/shared";
import { BuiltEngines } from "./built-engines.js";
import { EngineCache } from "./engine-cache.js";
import { memoryLog, temporaryFolder, until } from "./runner/testing.js";
import type { Installed } from "./state.js";

const artifact = "a".repeat(64);
const installed: Installed = {
  ...{ attempt: "r.1", version: "1", release: 1, manifest: "b".repeat(64) },
  ...{ variant: "fp32", artifact, provider: "tensorrt", threads: 1 },
};

/** A device on which one version is committed, and its engine folder. */
async function bench() {
  const cache = new EngineCache(await temporaryFolder(), 1_000_000);
  let changes = 0;
  const engines = new BuiltEngines({
    ...{ cache, machine: async () => "this", committed: () => [installed], log: memoryLog() },
    onChange: () => {
      changes += 1;
    },
  });
  const folder = await cache.folder(artifact, "this");
  const write = (name: string, text: string) => writeFile(join(folder, name), text);
  /** Once the files were hashed. */
  const told = async (hashed: number) => {
    await engines.of(installed);
    await until("the files are hashed", () => changes >= hashed);
    return engines.of(installed);
  };
  return { engines, folder, write, told, changes: () => changes };
}

test("what a provider built is told by name, size and digest, hashed once for as long as it stays the same", async () => {
  const { engines, write, told, changes } = await bench();
  assert.equal(await engines.of(installed), undefined, "there is none yet");
  await write("graph.engine", "engine");
  await write("cache.timing", "times");
  await write("empty.engine", "");
  await write(".hidden", "x");
  assert.equal(await engines.of(installed), undefined, "it is not hashed yet");
  const files = [
    { name: "cache.timing", sizeBytes: 5, sha256: sha256("times") },
    { name: "graph.engine", sizeBytes: 6, sha256: sha256("engine") },
  ];
  assert.deepEqual(BuiltEngine.parse(await told(1)), { artifact, files });
  await told(1);
  assert.equal(changes(), 1);
  await write("graph.engine", "another engine");
  assert.equal((await told(2))?.files[1]?.sha256, sha256("another engine"));
});

test("nothing is told of an encrypted model, of a provider that builds nothing, nor of more files than an engine has", async () => {
  const { engines, write, told } = await bench();
  await write("graph.engine", "engine");
  assert.notEqual(await told(1), undefined);
  assert.equal(await engines.of({ ...installed, wrappedKey: "key" }), undefined);
  assert.equal(await engines.of({ ...installed, provider: "cuda" }), undefined);
  for (let at = 0; at < maxEngineFiles; at += 1) await write(`part-${at}.engine`, "part");
  assert.equal(await engines.find(artifact, "graph.engine"), undefined, "not even once all would be hashed");
  assert.equal(await engines.of(installed), undefined);
});

test("a file is found by the name it is told by, and while it is", async () => {
  const { engines, folder, write } = await bench();
  await write("graph.engine", "engine");
  await write(".taken", "");
  assert.equal((await engines.find(artifact, "graph.engine"))?.path, join(folder, "graph.engine"));
  for (const name of [".taken", "../graph.engine", join(folder, "graph.engine"), "other.engine"])
    assert.equal(await engines.find(artifact, name), undefined, name);
  assert.equal(await engines.find("c".repeat(64), "graph.engine"), undefined, "no version that serves has it");
  await rm(join(folder, "graph.engine"));
  assert.equal(await engines.find(artifact, "graph.engine"), undefined);
});
