import assert from "node:assert/strict";
import { test } from "node:test";
import type { VersionView } from "@muster/shared";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { eventually } from "../fleet/fleet.js";
import { committed, devices, ended, model, push, rollOut } from "./line.js";
import { startHub } from "./place.js";

test("a new version comes the shortest way there is: copied, as a delta, compressed, or whole", async (t) => {
  const { hub, folder } = await startHub(t);
  const [agent] = await devices(t, hub, folder, 1);
  assert.ok(agent !== undefined);
  const view = (version: string) => hub.operator.json<VersionView>("model", "show", model, version);
  /** Rolls a version out and returns its size and what came over the link for it. */
  const install = async (version: string) => {
    const known = agent.program.log.length;
    assert.equal((await ended(hub, (await rollOut(hub, version)).id)).state, "completed");
    assert.equal((await committed(hub)).d1, version);
    const { manifest } = await view(version);
    const blob = manifest.variants[0]?.artifact.sha256;
    const lines = agent.program.log.slice(known).filter(({ event }) => event === "transfer.completed");
    const line = lines.find((entry) => entry.blob === blob);
    return {
      sizeBytes: manifest.variants[0]?.artifact.sizeBytes ?? 0,
      fetchedBytes: Number(line?.fetchedBytes ?? 0),
      line,
    };
  };

  await t.test("the first comes whole, or compressed where that is less", async () => {
    await push(hub, folder, "1.0.0", "fp32");
    const { sizeBytes, fetchedBytes } = await install("1.0.0");
    const { encodings } = await view("1.0.0");
    assert.equal(fetchedBytes, encodings?.[0]?.deflatedBytes ?? sizeBytes);
  });
  await t.test("weights that moved a little come as a delta, a fraction of the size", async () => {
    await push(hub, folder, "2.0.0", "fine-tuned");
    const { prepared, encodings } = await view("2.0.0");
    assert.equal(prepared, 1);
    const [delta] = encodings?.[0]?.deltas ?? [];
    assert.ok(delta !== undefined, JSON.stringify(encodings));
    const { sizeBytes, fetchedBytes } = await install("2.0.0");
    t.diagnostic(`fine-tuned: ${fetchedBytes} of ${sizeBytes} bytes`);
    assert.ok(fetchedBytes < 0.75 * sizeBytes, `${fetchedBytes} of ${sizeBytes}`);
  });
  await t.test("the same bytes under a new release come as nothing", async () => {
    await hub.operator.json("model", "republish", model, "2.0.0", "--as", "2.0.1");
    const { line } = await install("2.0.1");
    assert.equal(line, undefined, "nothing was transferred");
  });
  await t.test("a hub killed while it prepares goes on with it, and devices do not wait for that", async () => {
    await push(hub, folder, "3.0.0", "int8-weights", "--no-wait");
    await hub.program.kill();
    await hub.restart();
    await eventually("prepared", async () => ((await view("3.0.0")).prepared === 1 ? true : undefined));
    await eventually(
      "the device is back",
      async () => ((await committed(hub)).d1 === "2.0.1" ? true : undefined),
      60_000,
    );
    const { sizeBytes, fetchedBytes } = await install("3.0.0");
    t.diagnostic(`int8 weights: ${fetchedBytes} of ${sizeBytes} bytes`);
    assert.ok(fetchedBytes <= sizeBytes);
  });
  const jpeg = await renderLabel({ text: labelText(3), rotated: true, seed: 3 });
  const answer = (await (await agent.infer(jpeg)).json()) as { label: string; model_version: string };
  assert.deepEqual([answer.label, answer.model_version], ["rotated-180", "3.0.0"]);
});
