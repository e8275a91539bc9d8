import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Rollout } from "@muster/shared";
import { makeBundle } from "../fixtures/bundles.js";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { eventually } from "../fleet/fleet.js";
import { device, devices, ended, push, rollOut } from "./line.js";
import { startHub } from "./place.js";

test("two models live side by side on a device, and one is taken away without touching the other", async (t) => {
  const { hub, folder } = await startHub(t);
  const [machine] = await devices(t, hub, folder, 1);
  assert.ok(machine !== undefined);
  await push(hub, folder, "1.0.0", "fp32");
  const bundle = join(folder, "bundles", "second");
  await makeBundle(bundle, { version: "7.0.0", kind: "int8-weights", referenceImages: 40, samples: 2 });
  const yaml = join(bundle, "muster.yaml");
  await writeFile(yaml, (await readFile(yaml, "utf8")).replace(/^name: .*$/m, "name: second-look"));
  assert.equal((await hub.operator.run("model", "push", bundle)).code, 0);

  const first = await rollOut(hub, "1.0.0");
  const second = await hub.operator.json<Rollout>(
    "rollout",
    "start",
    "second-look",
    "7.0.0",
    "--waves",
    "100%",
    "--soak",
    "10min",
    "--probation",
    "300ms",
    "--retries",
    "0",
  );
  assert.equal((await ended(hub, first.id)).state, "completed");
  await eventually("both are committed", async () => {
    const models = (await device(hub, machine.device)).reported?.models ?? [];
    return models.filter(({ committed }) => committed !== undefined).length === 2 ? true : undefined;
  });
  const jpeg = await renderLabel({ text: labelText(5), rotated: true, seed: 5 });
  const ask = async (model: string) => {
    const response = await machine.infer(jpeg, model);
    return { status: response.status, body: (await response.json()) as { model_version?: string; label?: string } };
  };
  assert.deepEqual((await ask("label-orientation")).body.model_version, "1.0.0");
  assert.deepEqual((await ask("second-look")).body.model_version, "7.0.0");

  assert.equal((await hub.operator.run("rollout", "halt", second.id)).code, 0);
  assert.equal((await ended(hub, second.id)).state, "rolled-back");
  await eventually("the second model is gone", async () =>
    (await ask("second-look")).status === 404 ? true : undefined,
  );
  assert.equal((await ask("label-orientation")).body.label, "rotated-180");

  await t.test("and after a restart it is the same", async () => {
    await machine.program.kill();
    await machine.start();
    assert.equal((await ask("label-orientation")).body.model_version, "1.0.0");
    assert.equal((await ask("second-look")).status, 404);
  });
});
