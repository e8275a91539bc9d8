import assert from "node:assert/strict";
import { copyFile, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { AuditList, HubStatus, VersionList } from "@muster/shared";
import { makeBundle } from "../fixtures/bundles.js";
import { devices, ended, model, push, rollOut } from "./line.js";
import { startHub } from "./place.js";

test("a hub that is killed while it takes a model in keeps nothing of it, and a removed version leaves nothing", async (t) => {
  const { hub, folder } = await startHub(t);
  await push(hub, folder, "1.0.0", "fp32");
  const artifacts = join(hub.dataDir, "artifacts");
  const stored = async () => (await readdir(artifacts)).sort();
  const versions = async () => (await hub.operator.json<VersionList>("model", "ls")).versions;
  const before = await stored();
  const bundle = join(folder, "bundles", "2.0.0");
  const large = { kind: "int8-weights", referenceImages: 40, samples: 2, ballastBytes: 6_000_000 } as const;
  await makeBundle(bundle, { version: "2.0.0", ...large });

  let kept = 0;
  for (const files of [1, 2, 3]) {
    let over = false;
    const pushing = hub.operator.run("model", "push", bundle, "--no-wait").finally(() => {
      over = true;
    });
    while (!over && (await stored()).length < before.length + files) await sleep(1);
    await hub.program.kill();
    const left = (await stored()).length - before.length;
    await pushing;
    await hub.restart();
    const recorded = (await versions()).some(({ version }) => version === "2.0.0");
    t.diagnostic(`killed with ${left} new files; the version is ${recorded ? "there" : "not there"}`);
    if (recorded) {
      kept += 1;
      assert.equal((await hub.operator.run("model", "remove", model, "2.0.0")).code, 0);
    }
    assert.deepEqual(await stored(), before);
    assert.deepEqual(await readdir(join(hub.dataDir, "work")), []);
  }
  assert.ok(kept < 3, "at least one push was cut off before its version was there");

  await push(hub, folder, "2.0.0", "int8-weights");
  assert.ok((await stored()).length > before.length);
  const [device] = await devices(t, hub, folder, 1);
  assert.ok(device !== undefined);
  assert.equal((await ended(hub, (await rollOut(hub, "1.0.0")).id)).state, "completed");
  const refused = await hub.operator.run("model", "rm", model, "1.0.0");
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /1\.0\.0 is still needed: device d1 is to run it/);
  const { stdout } = await hub.operator.run("model", "rm", model, "2.0.0");
  assert.equal(stdout, `${model} 2.0.0 is removed\n`);
  assert.deepEqual(await stored(), before);
  const { storage, counters } = await hub.operator.json<HubStatus>("status");
  assert.equal(storage.artifacts.blobs, before.length);
  assert.ok((counters["garbage-blobs-removed"] ?? 0) >= 3, JSON.stringify(counters));
  const { entries } = await hub.operator.json<AuditList>("audit", "ls", "--action", "model.remove");
  assert.equal(entries.at(-1)?.subject, `${model} 2.0.0`);
  const again = await hub.operator.run("model", "push", bundle);
  assert.match(again.stdout, /^pushed label-orientation 2\.0\.0 as release [34]/);
});

test("a hub takes no more uploads than it has room for, and says so", async (t) => {
  const { hub, folder } = await startHub(t, { maxUploadBytes: 1_000_000 });
  const bundle = join(folder, "bundle");
  await makeBundle(bundle, {
    version: "1.0.0",
    kind: "fp32",
    referenceImages: 40,
    samples: 2,
    ballastBytes: 2_000_000,
  });
  const { code, stderr } = await hub.operator.run("model", "push", bundle);
  assert.equal(code, 1);
  assert.match(stderr, /no room for this file beside \d+ files of .*raise maxUploadBytes/);
  const { storage, counters } = await hub.operator.json<HubStatus>("status");
  assert.ok(storage.uploads.bytes <= 1_000_000);
  assert.ok((counters["upload-refused"] ?? 0) >= 1);
});

test("a backup of the database put in place costs no artifact that is newer, and the hub says so", async (t) => {
  const { hub, folder } = await startHub(t);
  const backup = join(folder, "backup");
  /** Takes the place of all that the database consists of: its file and its log. */
  const copyDatabase = async (from: string, to: string) => {
    const files = async (of: string) => (await readdir(of)).filter((name) => name.startsWith("hub.db"));
    for (const name of await files(to)) await rm(join(to, name));
    for (const name of await files(from)) await copyFile(join(from, name), join(to, name));
  };
  const stored = async () => (await readdir(join(hub.dataDir, "artifacts"))).sort();
  const unknown = async () => (await hub.operator.json<HubStatus>("status")).storage.unknown.blobs;
  await push(hub, folder, "1.0.0", "fp32");
  const old = await stored();
  await hub.program.stop();
  await mkdir(backup);
  await copyDatabase(hub.dataDir, backup);
  await hub.restart();
  await push(hub, folder, "2.0.0", "int8-weights");
  const all = await stored();
  await hub.program.stop();
  await copyDatabase(backup, hub.dataDir);
  await hub.restart();
  assert.deepEqual(await stored(), all);
  assert.equal(await unknown(), all.length - old.length);
  const { stdout } = await hub.operator.run("status");
  assert.match(stdout, /of artifacts, .* of them in \d+ files that the database does not know/);
  await push(hub, folder, "2.0.0", "int8-weights");
  await hub.program.stop();
  await hub.restart();
  assert.ok((await unknown()) < all.length - old.length, "what the version names is known again");
});
