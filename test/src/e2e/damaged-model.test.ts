import assert from "node:assert/strict";
import { readFile, rm, truncate, writeFile } from "node:fs/promises";
import { test } from "node:test";
import type { EventList, VersionView } from "@muster/shared";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { eventually } from "../fleet/fleet.js";
import { blobPath, damagedBlobs, shelfFiles } from "../fleet/shelf-files.js";
import { committed, devices, ended, model, push, pushLarge, rollOut } from "./line.js";
import { startHub } from "./place.js";

test("a committed model whose file is damaged never runs: the one before serves until the device has made it whole", async (t) => {
  const { hub, folder } = await startHub(t);
  const [agent] = await devices(t, hub, folder, 1);
  assert.ok(agent !== undefined);
  await push(hub, folder, "1.0.0", "fp32");
  assert.equal((await ended(hub, (await rollOut(hub, "1.0.0")).id)).state, "completed");
  await pushLarge(hub, folder, "2.0.0", "int8-weights", 2_000_000);
  assert.equal((await ended(hub, (await rollOut(hub, "2.0.0")).id)).state, "completed");
  const jpeg = await renderLabel({ text: labelText(3), rotated: true, seed: 3 });
  const answers = async () => ((await (await agent.infer(jpeg)).json()) as { model_version: string }).model_version;
  const { manifest, manifestDigest } = await hub.operator.json<VersionView>("model", "show", model, "2.0.0");
  const artifact = manifest.variants[0]?.artifact;
  assert.ok(artifact !== undefined);
  const path = blobPath(agent, artifact.sha256);
  const kinds = async () => {
    const { events } = await hub.operator.json<EventList>("telemetry", "events", "--limit", "1000");
    return events.map(({ kind }) => kind);
  };

  /** Starts the agent without its hub, and then with it; returns what was fetched to make the version whole. */
  const mend = async (damage: () => Promise<void>) => {
    await agent.program.stop();
    await hub.program.stop();
    await damage();
    await agent.start();
    assert.equal(await answers(), "1.0.0", "the one before serves");
    await agent.program.waitFor("model.damaged", 10_000);
    await hub.restart();
    await agent.program.waitFor("model.repaired", 60_000);
    assert.equal(await answers(), "2.0.0");
    assert.deepEqual(await damagedBlobs(agent), []);
    assert.deepEqual((await shelfFiles(agent)).partials, []);
    const lines = agent.program.log.filter(({ event }) => event === "transfer.completed");
    return Number(lines.find(({ blob }) => blob === artifact.sha256)?.fetchedBytes ?? 0);
  };

  await t.test("a bit that flipped costs the chunk it lies in", async () => {
    const fetched = await mend(async () => {
      const bytes = await readFile(path);
      bytes.writeUInt8(bytes.readUInt8(1000) ^ 1, 1000);
      await writeFile(path, bytes);
    });
    assert.ok(fetched > 0 && fetched <= 256 * 1024, `${fetched} bytes were fetched`);
  });
  await t.test("an end that was cut off is fetched, and no more", async () => {
    const fetched = await mend(() => truncate(path, artifact.sizeBytes - 500_000));
    assert.ok(fetched > 300_000 && fetched < 1_000_000, `${fetched} bytes were fetched`);
  });
  await t.test("a file and a manifest that are gone come back", async () => {
    await mend(async () => {
      await rm(path);
      await rm(blobPath(agent, manifestDigest));
    });
  });
  await t.test("the version before is fetched again as well, although nothing wants it", async () => {
    const before = await hub.operator.json<VersionView>("model", "show", model, "1.0.0");
    const [variant] = before.manifest.variants;
    assert.ok(variant !== undefined);
    await agent.program.stop();
    // What serves is damaged too, so that the device looks at all of its files now, and not within a day.
    await truncate(path, artifact.sizeBytes - 1);
    await rm(blobPath(agent, variant.artifact.sha256));
    await rm(blobPath(agent, before.manifestDigest));
    await agent.start();
    for (const version of ["2.0.0", "1.0.0"])
      await agent.program.waitFor("model.repaired", 60_000, (line) => line.version === version);
    assert.equal(await answers(), "2.0.0");
    assert.deepEqual(await damagedBlobs(agent), []);
    const { blobs } = await shelfFiles(agent);
    assert.ok([before.manifestDigest, variant.artifact.sha256].every((digest) => blobs.includes(digest)));
  });
  await eventually("the hub was told", async () => {
    const told = await kinds();
    return ["model.unusable", "model.damaged", "model.repaired"].every((kind) => told.includes(kind))
      ? true
      : undefined;
  });
  assert.deepEqual(await committed(hub), { d1: "2.0.0" });
});
