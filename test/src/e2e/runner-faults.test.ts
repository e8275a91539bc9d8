import assert from "node:assert/strict";
import { test } from "node:test";
import { dangerousModel } from "@muster/agent/testing";
import type { EventList } from "@muster/shared";
import { labelText, renderGrey, renderLabel } from "../fixtures/labels.js";
import { AgentMachine, eventually } from "../fleet/fleet.js";
import { device, ended, push, rollOut } from "./line.js";
import { startHub } from "./place.js";

test("a version whose native code kills the runner goes back: at once on probation, after three times later", async (t) => {
  const { hub, folder } = await startHub(t);
  const machine = new AgentMachine(folder, "d1");
  await machine.join(hub, "site=lyon", { windowMs: 500 });
  // The agent's runners inherit it: an engine call for a white picture ends the process with SIGSEGV.
  process.env.NODE_OPTIONS = `--import ${dangerousModel.href}`;
  await machine.start();
  delete process.env.NODE_OPTIONS;
  t.after(() => machine.program.stop());
  for (const [version, kind] of [
    ["1.0.0", "fp32"],
    ["2.0.0", "int8-weights"],
  ] as const)
    await push(hub, folder, version, kind);
  assert.equal((await ended(hub, (await rollOut(hub, "1.0.0")).id)).state, "completed");

  const white = await renderGrey(255);
  const jpeg = await renderLabel({ text: labelText(3), rotated: true, seed: 3 });
  const send = (bytes: Uint8Array, type: string) =>
    fetch(`${machine.inferenceUrl}/v2/models/label-orientation/infer`, {
      method: "POST",
      headers: { "content-type": type },
      body: bytes,
    }).catch(() => undefined);
  const serving = async () => {
    const response = await send(jpeg, "image/jpeg");
    return response?.ok ? ((await response.json()) as { model_version: string }).model_version : undefined;
  };
  const crashes = () => machine.program.log.filter(({ event }) => event === "runner.ended").length;
  const crash = async () => {
    const before = crashes();
    assert.equal(await send(white, "image/png"), undefined);
    await eventually("the crash is noticed", async () => (crashes() > before ? true : undefined));
  };

  await t.test("one crash on probation", async () => {
    const { id } = await rollOut(hub, "2.0.0", "--probation", "10min");
    await eventually("2.0.0 serves", async () => ((await serving()) === "2.0.0" ? true : undefined));
    await eventually("it is on probation", async () =>
      (await device(hub, "d1")).reported?.models[0]?.candidate?.phase === "probation" ? true : undefined,
    );
    await crash();
    const rollout = await ended(hub, id);
    assert.equal(rollout.state, "rolled-back");
    assert.match(rollout.reason ?? "", /E_CRASH the runner crashed with SIGSEGV while this version was on probation/);
    assert.equal(await eventually("it serves again", serving), "1.0.0");
  });

  await t.test("three crashes of a committed version", async () => {
    assert.equal((await ended(hub, (await rollOut(hub, "2.0.0")).id)).state, "completed");
    assert.equal(await eventually("2.0.0 serves", serving), "2.0.0");
    for (const time of ["first", "second"]) {
      await crash();
      assert.equal(await eventually(`it serves after the ${time} crash`, serving), "2.0.0");
    }
    await crash();
    await eventually("1.0.0 serves", async () => ((await serving()) === "1.0.0" ? true : undefined));
    const last = await eventually("the way back is reported", async () => {
      const model = (await device(hub, "d1")).reported?.models[0];
      return model?.committed?.version === "1.0.0" ? model.finished.at(-1) : undefined;
    });
    assert.deepEqual([last.version, last.outcome], ["2.0.0", "rolled-back"]);
    assert.match(last.error?.detail ?? "", /crashed with SIGSEGV; 3 times within 180 s/);
  });

  await t.test("and the hub knows of every crash and its suspect", async () => {
    const { runner } = (await device(hub, "d1")).reported ?? {};
    assert.deepEqual(runner?.endings, { crash: 4, hang: 0, memory: 0 });
    const { events } = await hub.operator.json<EventList>("telemetry", "events", "--kind", "runner.ended");
    assert.equal(events.length, 4);
    assert.ok(events.every(({ fields }) => (fields.suspects as string[]).length === 1));
  });
});
