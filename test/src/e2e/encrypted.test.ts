import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { VersionView } from "@muster/shared";
import { modelBytes } from "../fixtures/bundles.js";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { eventually } from "../fleet/fleet.js";
import { committed, devices, ended, model, push, rollOut } from "./line.js";
import { startHub } from "./place.js";

/** Every file below a folder that holds these bytes. */
async function holding(folder: string, bytes: Uint8Array): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && (await readFile(path)).includes(Buffer.from(bytes))) found.push(path);
  }
  return found;
}

test("an encrypted model runs on the devices that are to run it, and lies in the clear nowhere", async (t) => {
  const { hub, folder } = await startHub(t);
  const [agent] = await devices(t, hub, folder, 1);
  assert.ok(agent !== undefined);
  const weights = (await modelBytes("fp32")).subarray(100_000, 100_256);
  await push(hub, folder, "1.0.0", "fp32", "--encrypt");
  const { manifest } = await hub.operator.json<VersionView>("model", "show", model, "1.0.0");
  const artifact = manifest.variants[0]?.artifact;
  assert.equal(artifact?.encryption?.algorithm, "aes-256-gcm");
  assert.equal(artifact.sizeBytes, artifact.encryption.plainBytes + 28);
  const rollout = await ended(hub, (await rollOut(hub, "1.0.0")).id);
  assert.equal(rollout.state, "completed", rollout.reason);

  const jpeg = await renderLabel({ text: labelText(3), rotated: true, seed: 3 });
  const answer = async () => {
    const response = await agent.infer(jpeg);
    return response.ok ? ((await response.json()) as { label: string }).label : undefined;
  };
  assert.equal(await answer(), "rotated-180");
  assert.deepEqual(await holding(hub.dataDir, weights), [], "the hub keeps no plain copy");
  assert.deepEqual(await holding(agent.dataDir, weights), [], "nor does the device");

  await t.test("it serves again after a restart, also while the hub is away", async () => {
    await agent.program.stop();
    await hub.program.stop();
    await agent.start();
    assert.equal(await eventually("it answers", answer), "rotated-180");
    await hub.restart();
  });
  await t.test("a version beside it in the clear, and back", async () => {
    await push(hub, folder, "2.0.0", "fine-tuned");
    await eventually(
      "the device is back",
      async () => ((await committed(hub)).d1 === "1.0.0" ? true : undefined),
      60_000,
    );
    const { id } = await rollOut(hub, "2.0.0", "--soak", "10min");
    await eventually("committed", async () => ((await committed(hub)).d1 === "2.0.0" ? true : undefined));
    assert.equal((await hub.operator.run("rollout", "halt", id)).code, 0);
    assert.equal((await ended(hub, id)).state, "rolled-back");
    assert.equal(await answer(), "rotated-180");
  });
});
