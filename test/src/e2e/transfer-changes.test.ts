import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { blobsOf, type HubStatus, type VersionView } from "@muster/shared";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { eventually } from "../fleet/fleet.js";
import { partialBytes, shelfFiles } from "../fleet/shelf-files.js";
import { committed, device, devices, ended, model, push, pushLarge, rollOut, windowBytes } from "./line.js";
import { startHub } from "./place.js";

const ballastBytes = 10_000_000;

test("a transfer whose version is cancelled, superseded or wrong at the hub ends where it is, and leaves nothing behind", async (t) => {
  // Without a cache, so that the hub reads what lies on its disk now.
  const { hub, folder } = await startHub(t, { deviceBytesPerSecond: 3_000_000 });
  const [agent] = await devices(t, hub, folder, 1);
  assert.ok(agent !== undefined);
  await push(hub, folder, "1.0.0", "fp32");
  assert.equal((await ended(hub, (await rollOut(hub, "1.0.0")).id)).state, "completed");
  await pushLarge(hub, folder, "2.0.0", "fp32", ballastBytes, "--encrypt");
  await push(hub, folder, "3.0.0", "int8-weights");
  const view = (version: string) => hub.operator.json<VersionView>("model", "show", model, version);
  const { sha256: digest = "", sizeBytes = 0 } = (await view("2.0.0")).manifest.variants[0]?.artifact ?? {};
  const sentBytes = async () => (await hub.operator.json<HubStatus>("status")).counters["artifact-bytes-sent"] ?? 0;
  /** Begins a rollout of 2.0.0 and halts it in the middle of the transfer. */
  const haltInTheMiddle = async () => {
    const { id } = await rollOut(hub, "2.0.0");
    await eventually("bytes of 2.0.0 arrive", async () =>
      (await partialBytes(agent, digest)) > 1_000_000 ? true : undefined,
    );
    assert.equal((await hub.operator.run("rollout", "halt", id)).code, 0);
  };
  /** Only these versions have files on the device. */
  const keepsOnly = async (...versions: string[]) => {
    const wanted = new Set<string>();
    for (const version of versions) {
      const { manifest, manifestDigest } = await view(version);
      for (const digest of [manifestDigest, ...blobsOf(manifest).map(({ sha256 }) => sha256)]) wanted.add(digest);
    }
    await eventually(`only files of ${versions.join(", ")}`, async () => {
      const { blobs, partials } = await shelfFiles(agent);
      return partials.length === 0 && blobs.every((digest) => wanted.has(digest)) ? true : undefined;
    });
  };

  await t.test("cancelled", async () => {
    await haltInTheMiddle();
    const before = await sentBytes();
    await keepsOnly("1.0.0");
    assert.ok((await sentBytes()) - before <= windowBytes, "it went on after it was cancelled");
    assert.deepEqual(await committed(hub), { d1: "1.0.0" });
  });
  await t.test("wrong at the hub, whose disk is damaged", async () => {
    const path = join(hub.dataDir, "artifacts", digest);
    const bytes = await readFile(path);
    await writeFile(path, Buffer.alloc(bytes.length, 7));
    const before = await sentBytes();
    const rollout = await ended(hub, (await rollOut(hub, "2.0.0", "--retries", "1")).id);
    await writeFile(path, bytes);
    assert.match(rollout.reason ?? "", /E_HASH chunk at \d+ of .* arrived damaged 3 times/);
    const sent = (await sentBytes()) - before;
    assert.ok(sent < 2 * sizeBytes, `${sent} bytes were sent in vain`);
    await keepsOnly("1.0.0");
    const jpeg = await renderLabel({ text: labelText(3), rotated: true, seed: 3 });
    const answer = (await (await agent.infer(jpeg)).json()) as { model_version: string };
    assert.equal(answer.model_version, "1.0.0");
  });
  await t.test("superseded", async () => {
    await haltInTheMiddle();
    assert.equal((await ended(hub, (await rollOut(hub, "3.0.0")).id)).state, "completed");
    await keepsOnly("1.0.0", "3.0.0");
    assert.deepEqual(await committed(hub), { d1: "3.0.0" });
    const finished = (await device(hub, "d1")).reported?.models[0]?.finished ?? [];
    const ends = finished.filter(({ version }) => version === "2.0.0").map(({ outcome }) => outcome);
    assert.deepEqual(ends, ["superseded", "failed", "failed", "superseded"]);
  });
});
