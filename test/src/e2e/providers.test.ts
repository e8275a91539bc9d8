import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { EventList, PushedVersion } from "@muster/shared";
import { makeBundle, modelBytes } from "../fixtures/bundles.js";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { makePretendingRuntime } from "../fixtures/pretending-runtime.js";
import { programs, runCommand } from "../fleet/cli.js";
import { AgentMachine, eventually, type HubMachine } from "../fleet/fleet.js";
import { shelfFiles } from "../fleet/shelf-files.js";
import { committed, device, devices, ended, model, push, rollOut } from "./line.js";
import { startHub } from "./place.js";

/** Pushes a version with a variant that answers wrongly besides two good ones. */
async function pushVariants(hub: HubMachine, folder: string, version: string): Promise<void> {
  const bundle = join(folder, "bundles", version);
  await makeBundle(bundle, { version, kind: "fp32", referenceImages: 0, samples: 2 });
  await writeFile(join(bundle, "broken.onnx"), await modelBytes("broken"));
  await writeFile(join(bundle, "int8.onnx"), await modelBytes("int8-weights"));
  const path = join(bundle, "muster.yaml");
  const variants = [
    "variants:",
    "  - { name: broken, file: broken.onnx, precision: fp32 }",
    "  - { name: int8-weights, file: int8.onnx, precision: int8-weights }",
  ].join("\n");
  await writeFile(path, (await readFile(path, "utf8")).replace(/^variants:/m, variants));
  const { code, stderr } = await hub.operator.run("model", "push", bundle, "--no-self-test");
  assert.equal(code, 0, stderr);
}

test("a device tries the variants of a version, keeps the fastest that is correct, and tells what it tried", async (t) => {
  const { hub, folder } = await startHub(t);
  const [machine] = await devices(t, hub, folder, 1);
  assert.ok(machine !== undefined);
  await pushVariants(hub, folder, "1.0.0");
  assert.equal((await ended(hub, (await rollOut(hub, "1.0.0")).id)).state, "completed");
  const report = async () => (await device(hub, "d1")).reported?.models[0];

  const { trial, committed: kept, running } = (await report()) ?? {};
  assert.ok(trial !== undefined && kept !== undefined);
  await t.test("the trial is reported with figures and reasons", () => {
    const codes = (variant: string) =>
      trial.tried.filter((one) => one.variant === variant).map(({ rejected }) => rejected?.code);
    assert.ok(codes("broken").length > 0 && codes("broken").every((code) => code === "E_SELFTEST"));
    assert.ok(codes("fp32").every((code) => code === undefined) && codes("fp32").length > 0);
    assert.ok(codes("int8-weights").length > 0);
    const { variant, provider, threads } = kept;
    assert.deepEqual(trial.chosen, { variant, provider, threads });
    assert.deepEqual(running, { requested: "cpu", actual: "cpu" });
    assert.notEqual(variant, "broken");
  });

  await t.test("only the file of the winner stays", async () => {
    const { manifest } = await hub.operator.json<PushedVersion>("model", "show", model, "1.0.0");
    const { blobs } = await shelfFiles(machine);
    const there = manifest.variants.filter(({ artifact }) => blobs.includes(artifact.sha256));
    assert.deepEqual(
      there.map(({ name }) => name),
      [kept.variant],
    );
  });

  await t.test("a person sees it too", async () => {
    const { stdout } = await hub.operator.run("device", "show", "d1");
    assert.match(stdout, /TRIAL OF 1\.0\.0 +PROVIDER +THREADS/);
    assert.match(stdout, /broken +cpu +1 .*E_SELFTEST/);
    assert.match(stdout, /chosen/);
  });

  await t.test(
    "the same files under another version are not measured again, and only the winner is fetched",
    async () => {
      await hub.operator.json<PushedVersion>("model", "republish", model, "1.0.0", "--as", "1.0.1");
      const transfers = () => machine.program.log.filter(({ event }) => event === "transfer.completed").length;
      const before = transfers();
      assert.equal((await ended(hub, (await rollOut(hub, "1.0.1")).id)).state, "completed");
      assert.equal((await report())?.trial?.remembered, true);
      assert.equal(transfers(), before);
      assert.deepEqual(await committed(hub), { d1: "1.0.1" });
    },
  );
});

test("a version that falls to a slower provider serves on, raises an event, and halts its rollout", async (t) => {
  const { hub, folder } = await startHub(t);
  const runtime = join(folder, "runtime");
  await makePretendingRuntime(runtime);
  const machine = new AgentMachine(folder, "d1");
  await machine.join(hub, "site=lyon", { windowMs: 500, onnxruntime: runtime });
  await machine.start();
  t.after(() => machine.program.stop());
  await push(hub, folder, "1.0.0", "fp32");
  const { id } = await rollOut(hub, "1.0.0", "--fallback", "100");
  const answer = await eventually("it answers", async () => {
    const response = await machine.infer(await renderLabel({ text: labelText(3), rotated: true, seed: 3 }));
    return response.ok ? ((await response.json()) as { label: string }) : undefined;
  });
  assert.equal(answer.label, "rotated-180");
  assert.equal((await ended(hub, id)).state, "completed", "the operator allowed it");
  const { running, fallback, committed: kept } = (await device(hub, "d1")).reported?.models[0] ?? {};
  assert.equal(kept?.provider, "coreml");
  assert.deepEqual([running?.requested, running?.actual], ["coreml", "cpu"]);
  assert.match(fallback?.detail ?? "", /1\.0\.0 was to run on coreml and runs on cpu: .*the driver was taken away/);

  const told = await eventually("the event arrives", async () => {
    const { events } = await hub.operator.json<EventList>("telemetry", "events", "--limit", "1000");
    return events.find(({ kind }) => kind.includes("provider-fallback"));
  });
  assert.match(JSON.stringify(told), /the driver was taken away/);

  await push(hub, folder, "2.0.0", "fine-tuned");
  const second = await ended(hub, (await rollOut(hub, "2.0.0", "--probation", "60s")).id);
  assert.equal(second.state, "rolled-back");
  assert.match(second.reason ?? "", /1 of 1 started fell back: .*d1: 2\.0\.0 was to run on coreml/);

  const config = join(folder, "d1", "agent.yaml");
  const doctor = await runCommand(programs.agent, ["--config", config, "doctor", "--json"]);
  const { findings } = JSON.parse(doctor.stdout) as { findings: { check: string; detail: string }[] };
  assert.ok(
    findings.some(({ check, detail }) => check === "provider" && /coreml does not work: .*driver/.test(detail)),
  );
  assert.equal(doctor.code, 0, "the processor still works");
});
