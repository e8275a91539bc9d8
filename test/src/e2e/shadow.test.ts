import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { LatencyReport } from "@muster/shared";
import { makeBundle } from "../fixtures/bundles.js";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { eventually, type HubMachine } from "../fleet/fleet.js";
import { committed, device, devices, ended, model, push, rollOut } from "./line.js";
import { startHub } from "./place.js";

test("a version runs in the shadow of the serving one, and enters service only when their answers agree", async (t) => {
  const { hub, folder } = await startHub(t);
  const [machine] = await devices(t, hub, folder, 1);
  assert.ok(machine !== undefined);
  await push(hub, folder, "1.0.0", "fp32");
  assert.equal((await ended(hub, (await rollOut(hub, "1.0.0")).id)).state, "completed");
  await pushContrary(hub, folder, "2.0.0");
  await push(hub, folder, "3.0.0", "fine-tuned");

  const pictures = await Promise.all(
    [0, 1, 2, 3].map((seed) => renderLabel({ text: labelText(seed), rotated: seed % 2 === 1, seed })),
  );
  let asking = true;
  const versions = new Map<string, number>();
  const ask = async () => {
    for (let at = 0; asking; at += 1) {
      const response: Response = await machine.infer(pictures[at % pictures.length] ?? new Uint8Array());
      const { model_version: version } = (await response.json()) as { model_version: string };
      assert.equal(response.status, 200);
      versions.set(version, (versions.get(version) ?? 0) + 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const asked = ask();
  const shadow = ["--shadow", "1s", "--shadow-share", "1", "--shadow-cpu", "1"];
  const seen = async (wanted: string) => {
    const { rows } = await hub.operator.json<LatencyReport>("telemetry", "latency", "--model", model);
    return rows.find(({ version }) => version === wanted)?.shadow;
  };

  await t.test("one that contradicts is refused and never answers anybody", async () => {
    const { id } = await rollOut(hub, "2.0.0", ...shadow, "--min-agreement", "0.9");
    await eventually("it is in the shadow", async () =>
      (await device(hub, "d1")).reported?.models[0]?.candidate?.phase === "shadow" ? true : undefined,
    );
    const rollout = await ended(hub, id);
    assert.equal(rollout.state, "rolled-back");
    assert.match(rollout.reason ?? "", /E_SHADOW agreed with the serving version in 0 of \d+ answers, less than 0.9/);
    assert.equal(versions.get("2.0.0"), undefined);
    assert.equal((await eventually("its windows", () => seen("2.0.0"))).agreed, 0);
  });

  await t.test("one that agrees is put in service", async () => {
    const { id } = await rollOut(hub, "3.0.0", ...shadow, "--min-agreement", "0.9");
    assert.equal((await ended(hub, id)).state, "completed");
    assert.deepEqual(await committed(hub), { d1: "3.0.0" });
    const { compared, agreed } = await eventually("its windows", () => seen("3.0.0"));
    assert.ok(compared >= 20 && agreed >= 0.9 * compared, `${agreed} of ${compared} agreed`);
  });
  asking = false;
  await asked;
});

/** A version that says the opposite of the others, and whose self-test expects just that. */
async function pushContrary(hub: HubMachine, folder: string, version: string): Promise<void> {
  const bundle = join(folder, "bundles", version);
  await makeBundle(bundle, { version, kind: "broken", referenceImages: 40, samples: 2 });
  const yaml = join(bundle, "muster.yaml");
  const text = (await readFile(yaml, "utf8")).replaceAll(
    /expect: \{ label: ([\w-]+), scores: \[(.+), (.+)\] \}/g,
    (_, label: string, one: string, two: string) =>
      `expect: { label: ${label === "upright" ? "rotated-180" : "upright"}, scores: [${two}, ${one}] }`,
  );
  await writeFile(yaml, text);
  const { code, stderr } = await hub.operator.run("model", "push", bundle);
  assert.equal(code, 0, stderr);
}
