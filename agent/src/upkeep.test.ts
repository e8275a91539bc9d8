import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { generateSigningKey, type Log, manifestType, seal, sha256 } from "@muster/shared";
import { FakeClock } from "@muster/shared/testing";
import { FolderShelf } from "./adapters/folder-shelf.js";
import { makeManifest, picture } from "./runner/testing.js";
import { initialState } from "./state.js";
import { Upkeep } from "./upkeep.js";

const log: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** A signed manifest whose labels lie in a file. */
async function signed(labels: string): Promise<string> {
  const manifest = await makeManifest([await picture(1)]);
  const files = [{ path: "labels.txt", sha256: labels, sizeBytes: 11 }];
  return JSON.stringify(
    seal(manifestType, Buffer.from(JSON.stringify({ ...manifest, files })), [generateSigningKey()]),
  );
}

/** A device with one committed model, whose files are as they should be. */
async function bench(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "muster-upkeep-"));
  t.after(() => rm(folder, { recursive: true }));
  const shelf = await FolderShelf.open(folder);
  const put = async (text: string) => {
    const digest = sha256(text);
    await writeFile(shelf.path(digest), text);
    return digest;
  };
  const [artifact, labels] = [await put("artifact"), await put("ok\nscratch\n")];
  const manifest = await put(await signed(labels));
  const committed = {
    ...{ attempt: "r.0", version: "1", release: 1, variant: "fp32", provider: "cpu", threads: 1 },
    ...{ manifest, artifact },
  };
  const m = { releaseFloor: 1, finished: [], committed };
  const models: Record<"m", typeof m> & Record<string, typeof m> = { m };
  const state = { ...initialState, models };
  const clock = new FakeClock();
  const told: string[] = [];
  let tell: () => void = () => undefined;
  const upkeep = new Upkeep({
    ...{ shelf, clock, log },
    state: () => state,
    onDamaged: (model, { version }) => {
      told.push(`${model} ${version}`);
      tell();
    },
  });
  t.after(() => upkeep.close());
  const damaged = () =>
    new Promise<void>((resolve) => {
      tell = resolve;
    });
  const paths = { path: shelf.path(artifact), manifestPath: shelf.path(manifest), labelsPath: shelf.path(labels) };
  return { upkeep, clock, told, damaged, models, ...paths };
}

test("a file that is damaged while its model serves is noticed within a day", async (t) => {
  const { upkeep, clock, told, damaged, path } = await bench(t);
  upkeep.start();
  await writeFile(path, "artifacT");
  const noticed = damaged();
  clock.advance(86_400_000 - 1);
  await new Promise(setImmediate);
  assert.deepEqual(told, []);
  clock.advance(1);
  await noticed;
  assert.deepEqual(told, ["m 1"]);
});

test("a damaged file of labels is noticed as well", async (t) => {
  const { upkeep, told, damaged, labelsPath } = await bench(t);
  await writeFile(labelsPath, "ok\nscratcH\n");
  upkeep.look();
  const noticed = damaged();
  upkeep.start();
  await noticed;
  assert.deepEqual(told, ["m 1"]);
});

test("a version that could not be loaded is looked at when the agent has started, or at once", async (t) => {
  const { upkeep, told, damaged, manifestPath } = await bench(t);
  await rm(manifestPath);
  upkeep.look();
  const first = damaged();
  upkeep.start();
  await first;
  const second = damaged();
  upkeep.look();
  await second;
  assert.deepEqual(told, ["m 1", "m 1"]);
});

test("files that are as they should be are no news", async (t) => {
  const { upkeep, told, damaged, models } = await bench(t);
  models.n = { ...models.m, committed: { ...models.m.committed, artifact: "d".repeat(64) } };
  upkeep.look();
  const noticed = damaged();
  upkeep.start();
  await noticed;
  assert.deepEqual(told, ["n 1"], "and the other model's, which were read before, are");
});

test("a version to go back to is looked at as well, and named", async (t) => {
  const { upkeep, told, damaged, models } = await bench(t);
  const previous = { ...models.m.committed, version: "0", manifest: "e".repeat(64) };
  Object.assign(models.m, { previous });
  upkeep.look();
  const noticed = damaged();
  upkeep.start();
  await noticed;
  assert.deepEqual(told, ["m 0"]);
});
