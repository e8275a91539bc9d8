import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { DriftReport, Rollout, VersionList } from "@muster/shared";
import { wavFile } from "@muster/shared/testing";
import { hoursLeft, machinesCsv, makeVoiceBundle, makeWearBundle } from "../fixtures/task-bundles.js";
import { room } from "../fixtures/voice-model.js";
import { AgentMachine, eventually, type HubMachine } from "../fleet/fleet.js";
import { ended } from "./line.js";
import { startHub } from "./place.js";

interface Line {
  readonly model: string;
  readonly values?: { readonly hoursLeft: number };
  readonly events?: readonly { readonly label: string; readonly startMs: number; readonly endMs: number }[];
}

async function bring(hub: HubMachine, model: string, version: string): Promise<Rollout> {
  const short = ["--waves", "100%", "--soak", "0s", "--probation", "300ms", "--retries", "0"];
  const { id } = await hub.operator.json<Rollout>("rollout", "start", model, version, ...short);
  return ended(hub, id);
}

async function answers(machine: AgentMachine, model: string, count: number): Promise<Line[]> {
  return eventually(`${count} answers of ${model}`, async () => {
    const text = await readFile(machine.answers, "utf8").catch(() => "");
    const lines = text
      .trim()
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Line);
    const own = lines.filter((line) => line.model === model);
    return own.length >= count ? own : undefined;
  });
}

test("models of tables and of recordings travel, prove themselves, answer their files and show drift", async (t) => {
  const { hub, folder } = await startHub(t);
  const machine = new AgentMachine(folder, "d1");
  const [tables, sounds] = [join(folder, "tables"), join(folder, "sounds")];
  for (const one of [tables, sounds]) await mkdir(one);
  const watched = { type: "folder", pollMs: 100, afterwards: "delete" };
  const sources = [
    { ...watched, path: tables, model: "wear", endings: ["csv"] },
    { ...watched, path: sounds, model: "voice", endings: ["wav"] },
  ];
  await machine.join(hub, "site=lyon", { windowMs: 500, sources });
  await machine.start();
  t.after(() => machine.program.stop());
  const bundle = (name: string) => join(folder, "bundles", name);

  await t.test("a bundle whose self-test does not hold is refused with what differed", async () => {
    await makeWearBundle(bundle("wrong"), "0.9.0", 900);
    const { code, stderr } = await hub.operator.run("model", "push", bundle("wrong"));
    assert.notEqual(code, 0);
    assert.match(stderr, /selfTest\.samples\[0\]: 'sample\.json' on variant fp32: 'hoursLeft' is 890.*, expected 900/);
  });

  await makeWearBundle(bundle("wear"), "1.0.0");
  await makeVoiceBundle(bundle("voice"), "1.0.0");
  for (const name of ["wear", "voice"]) {
    const { code, stderr } = await hub.operator.run("model", "push", bundle(name));
    assert.equal(code, 0, stderr);
    assert.equal((await bring(hub, name, "1.0.0")).state, "completed");
  }
  const { versions } = await hub.operator.json<VersionList>("model", "ls");
  const features = Object.fromEntries(
    versions.map(({ model, manifest }) => [model, Object.keys(manifest.baseline).sort()]),
  );
  assert.deepEqual(features.wear, ["column.load", "column.machine", "column.temperature", "value.hoursLeft"]);
  assert.deepEqual(features.voice, ["active", "centroid", "class", "crossings", "events", "level", "score"]);

  const { text, machines } = machinesCsv(40, 2, 25);
  await writeFile(join(tables, "hot.csv"), text);
  const rows = await answers(machine, "wear", 40);
  for (const [at, one] of machines.entries()) {
    const found = rows[at]?.values?.hoursLeft ?? Number.NaN;
    assert.ok(Math.abs(found - hoursLeft(one)) < 0.01, `${found} ${hoursLeft(one)}`);
  }

  const wav = wavFile([room(3, 44_100, [{ fromS: 0.5, toS: 2 }])], { rate: 44_100, bits: 24 });
  await writeFile(join(sounds, "hall.wav"), wav);
  const [heard] = await answers(machine, "voice", 1);
  assert.equal(heard?.events?.length, 1, JSON.stringify(heard));
  const { label, startMs = 0, endMs = 0 } = heard?.events?.[0] ?? {};
  assert.equal(label, "speech");
  assert.ok(Math.abs(startMs - 500) < 200 && Math.abs(endMs - 2000) < 200, `${startMs} ${endMs}`);

  const ask = async (model: string, type: string, body: string | Uint8Array) => {
    const headers = { "content-type": type };
    const response = await fetch(`${machine.inferenceUrl}/v2/models/${model}/infer`, { method: "POST", headers, body });
    return { status: response.status, body: (await response.json()) as Line & { answers?: Line[]; error?: string } };
  };
  const lathe = { load: 20, temperature: 60, machine: "lathe" };
  const one = await ask("wear", "application/json", JSON.stringify(lathe));
  assert.ok(Math.abs((one.body.values?.hoursLeft ?? 0) - hoursLeft(lathe)) < 0.01, JSON.stringify(one));
  const list = await ask("wear", "text/csv", machinesCsv(3, 3).text);
  assert.equal(list.body.answers?.length, 3, JSON.stringify(list));
  const gap = await ask("wear", "application/json", JSON.stringify({ load: 20, machine: "lathe" }));
  assert.equal(gap.status, 400);
  assert.match(gap.body.error ?? "", /column 'temperature' of row 1 is missing/);
  assert.equal((await ask("voice", "audio/wav", wav)).body.events?.length, 1);
  assert.equal((await ask("voice", "image/jpeg", wav)).status, 415);

  const drifted = await eventually("the heat shows", async () => {
    const { rows: devices } = await hub.operator.json<DriftReport>("drift", "--model", "wear");
    const psi = Object.fromEntries(devices.flatMap(({ features: all }) => all.map((one) => [one.feature, one.psi])));
    return (psi["column.temperature"] ?? 0) > 1 ? psi : undefined;
  });
  assert.ok((drifted["column.load"] ?? 9) < 1, JSON.stringify(drifted));
});
