import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { dangerousModel } from "@muster/agent/testing";
import type { Rollout } from "@muster/shared";
import { wavFile } from "@muster/shared/testing";
import { labelText, renderGrey, renderLabel } from "../fixtures/labels.js";
import { hoursLeft, machinesCsv, makeVoiceBundle, makeWearBundle } from "../fixtures/task-bundles.js";
import { room } from "../fixtures/voice-model.js";
import { AgentMachine, eventually } from "../fleet/fleet.js";
import { device, ended, model as labels, push } from "./line.js";
import { startHub } from "./place.js";

test("of three models that share a device, one that crashes again and again is taken out, and the others answer on", async (t) => {
  const { hub, folder } = await startHub(t);
  const machine = new AgentMachine(folder, "d1");
  await machine.join(hub, "site=lyon", { windowMs: 500, maxWorkers: 3, maxQueued: 30, maxModels: 3 });
  // The agent's runners inherit it: a white picture ends the process with SIGSEGV.
  process.env.NODE_OPTIONS = `--import ${dangerousModel.href}`;
  await machine.start();
  delete process.env.NODE_OPTIONS;
  t.after(() => machine.program.stop());
  const bundle = (name: string) => join(folder, "bundles", name);
  await makeWearBundle(bundle("wear"), "1.0.0");
  await makeVoiceBundle(bundle("voice"), "1.0.0");
  for (const name of ["wear", "voice"]) assert.equal((await hub.operator.run("model", "push", bundle(name))).code, 0);
  await push(hub, folder, "1.0.0", "fp32");
  for (const name of ["wear", "voice", labels]) {
    const short = ["--waves", "100%", "--soak", "0s", "--probation", "300ms", "--retries", "0"];
    const { id } = await hub.operator.json<Rollout>("rollout", "start", name, "1.0.0", ...short);
    assert.equal((await ended(hub, id)).state, "completed", name);
  }

  const post = (name: string, body: Uint8Array | string, type: string) =>
    fetch(`${machine.inferenceUrl}/v2/models/${name}/infer`, {
      method: "POST",
      headers: { "content-type": type },
      body,
    }).catch(() => undefined);
  const [machineAtWork] = machinesCsv(1, 3).machines;
  assert.ok(machineAtWork !== undefined);
  const talk = wavFile([room(2, 16_000, [{ fromS: 0.5, toS: 1.5 }])], { rate: 16_000, bits: 16 });
  const jpeg = await renderLabel({ text: labelText(3), rotated: true, seed: 3 });
  const white = await renderGrey(255);
  /** Whether a model answers, and rightly. */
  const asks: Record<string, () => Promise<boolean>> = {
    wear: async () => {
      const response = await post("wear", JSON.stringify(machineAtWork), "application/json");
      if (response?.ok !== true) return false;
      const { values } = (await response.json()) as { values: { hoursLeft: number } };
      return Math.abs(values.hoursLeft - hoursLeft(machineAtWork)) < 0.01;
    },
    voice: async () => {
      const response = await post("voice", talk, "audio/wav");
      return response?.ok === true && ((await response.json()) as { events: object[] }).events.length === 1;
    },
    [labels]: async () => {
      const response = await post(labels, jpeg, "image/jpeg");
      return response?.ok === true && ((await response.json()) as { label: string }).label === "rotated-180";
    },
  };
  const answers = (name: string) =>
    eventually(`${name} answers`, async () => ((await asks[name]?.()) ? true : undefined));
  for (const name of Object.keys(asks)) await answers(name);

  await t.test("a fourth one is refused, with the reason", async () => {
    const bundleOf = bundle("fourth");
    await makeWearBundle(bundleOf, "1.0.0");
    const yaml = join(bundleOf, "muster.yaml");
    await writeFile(yaml, (await readFile(yaml, "utf8")).replace('"name": "wear"', '"name": "fourth"'));
    assert.equal((await hub.operator.run("model", "push", bundleOf)).code, 0);
    const { id } = await hub.operator.json<Rollout>(
      "rollout",
      "start",
      "fourth",
      "1.0.0",
      "--waves",
      "100%",
      "--retries",
      "0",
    );
    await ended(hub, id);
    const reported = (await device(hub, "d1")).reported?.models.find(({ model }) => model === "fourth");
    const { outcome, error } = reported?.finished.at(-1) ?? assert.fail();
    assert.deepEqual([outcome, error?.code], ["no-variant", "E_MEMORY"]);
    assert.match(error?.detail ?? "", /has 3 other models and takes 3 \(maxModels\)/);
  });

  const crashes = () => machine.program.log.filter(({ event }) => event === "runner.ended").length;
  for (let time = 1; time <= 3; time += 1) {
    await post(labels, white, "image/png");
    await eventually("the crash is noticed", async () => (crashes() === time ? true : undefined));
    for (const name of ["wear", "voice"]) await answers(name);
    if (time < 3) await answers(labels);
  }
  const last = await eventually("the version that crashes is taken out", async () => {
    const reported = (await device(hub, "d1")).reported?.models.find(({ model }) => model === labels);
    return reported !== undefined && reported.committed === undefined ? reported.finished.at(-1) : undefined;
  });
  assert.deepEqual([last.outcome, last.error?.code], ["rolled-back", "E_CRASH"]);
  assert.match(last.error?.detail ?? "", /3 times within 180 s; it is taken out, because other models serve here/);
  assert.equal((await post(labels, white, "image/png"))?.status, 404);
  for (const name of ["wear", "voice"]) await answers(name);
  assert.equal(crashes(), 3);

  await t.test("and the device says what they take together", async () => {
    const { stdout } = await hub.operator.run("device", "show", "d1");
    assert.match(stdout, /[23] of 3 engine threads, \d+ of 30 inputs wait, [\d.]+ MB( of [\d.]+ [MG]B)? memory/);
    const { runner } = (await device(hub, "d1")).reported ?? assert.fail();
    assert.ok((runner.usage?.workers ?? 99) <= 3);
    const models = await eventually("windows of both", async () => {
      const metrics = await (await fetch(`${machine.inferenceUrl}/metrics`)).text();
      const counted = [...metrics.matchAll(/^muster_inputs_total\{model="(\w+)".*\} [1-9]/gm)].map(([, name]) => name);
      return counted.length >= 2 ? counted : undefined;
    });
    assert.deepEqual(models.sort(), ["voice", "wear"], "what was taken out has no part in the runner that serves now");
  });
});
