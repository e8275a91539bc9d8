import assert from "node:assert/strict";
import { test } from "node:test";
import type { EventList, PushedVersion } from "@muster/shared";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { eventually } from "../fleet/fleet.js";
import { committed, device, devices, ended, model, push, rollOut } from "./line.js";
import { startHub } from "./place.js";
import { runnerOf } from "./runner-process.js";

test("a version goes back by itself, whether its runner crashes on probation or later, or its operator halts it", async (t) => {
  const { hub, folder } = await startHub(t);
  const [first, second] = await devices(t, hub, folder, 2);
  assert.ok(first !== undefined && second !== undefined);
  await push(hub, folder, "1.0.0", "fp32");
  assert.equal((await ended(hub, (await rollOut(hub, "1.0.0")).id)).state, "completed");
  const jpeg = await renderLabel({ text: labelText(3), rotated: true, seed: 3 });
  const answers = async (machine: typeof first) => {
    const response = await machine.infer(jpeg);
    return response.ok ? ((await response.json()) as { model_version: string; label: string }) : undefined;
  };

  await t.test("a crash on probation", async () => {
    await push(hub, folder, "2.0.0", "int8-weights");
    const { id } = await rollOut(hub, "2.0.0", "--waves", "1,100%", "--probation", "60s");
    const canary = await eventually("a device on probation", async () => {
      for (const machine of [first, second]) {
        if ((await device(hub, machine.device)).reported?.models[0]?.candidate?.phase === "probation") return machine;
      }
      return undefined;
    });
    assert.equal((await answers(canary))?.model_version, "2.0.0");
    process.kill(await runnerOf(canary.program.pid), "SIGKILL");
    const rollout = await ended(hub, id);
    assert.equal(rollout.state, "rolled-back");
    assert.match(rollout.reason ?? "", /E_CRASH the runner crashed/);
    const again = await eventually("the old version serves", async () => await answers(canary).catch(() => undefined));
    assert.deepEqual([again.model_version, again.label], ["1.0.0", "rotated-180"]);
    const finished = (await device(hub, canary.device)).reported?.models[0]?.finished ?? [];
    assert.ok(finished.some(({ version, outcome }) => version === "2.0.0" && outcome === "rolled-back"));
  });

  await t.test("a crash of a kept version brings the runner back with it", async () => {
    process.kill(await runnerOf(first.program.pid), "SIGKILL");
    const again = await eventually("it serves again", async () => await answers(first).catch(() => undefined));
    assert.equal(again.model_version, "1.0.0");
    const reported = await eventually("the restart is reported", async () => {
      const { runner } = (await device(hub, first.device)).reported ?? {};
      return runner?.state === "serving" && runner.restarts > 0 ? runner : undefined;
    });
    assert.ok(reported.restarts >= 1);
  });

  await t.test("an operator's halt takes a committed version back from every device", async () => {
    const { id } = await rollOut(hub, "2.0.0", "--soak", "10min");
    await eventually("both have committed it", async () =>
      Object.values(await committed(hub)).every((version) => version === "2.0.0") ? true : undefined,
    );
    assert.equal((await hub.operator.run("rollout", "halt", id)).code, 0);
    assert.equal((await ended(hub, id)).state, "rolled-back");
    assert.deepEqual(await committed(hub), { d1: "1.0.0", d2: "1.0.0" });
    assert.equal((await answers(second))?.model_version, "1.0.0");
  });

  await t.test("and the version can be rolled out again", async () => {
    assert.equal((await ended(hub, (await rollOut(hub, "2.0.0")).id)).state, "completed");
    assert.deepEqual(await committed(hub), { d1: "2.0.0", d2: "2.0.0" });
  });

  await t.test("an old version comes back as a new release of the same bytes, which devices have already", async () => {
    const { release } = await hub.operator.json<PushedVersion>("model", "republish", model, "1.0.0", "--as", "1.0.1");
    assert.equal(release, 3);
    assert.equal((await hub.operator.run("model", "republish", model, "1.0.0", "--as", "2.0.0")).code, 1);
    const transfers = first.program.log.filter(({ event }) => event === "transfer.completed").length;
    assert.equal((await ended(hub, (await rollOut(hub, "1.0.1")).id)).state, "completed");
    assert.deepEqual(await committed(hub), { d1: "1.0.1", d2: "1.0.1" });
    assert.equal(first.program.log.filter(({ event }) => event === "transfer.completed").length, transfers);
    const old = await ended(hub, (await rollOut(hub, "1.0.0")).id);
    assert.match(old.reason ?? "", /release 1 of .* has had 3/);
    assert.deepEqual(await committed(hub), { d1: "1.0.1", d2: "1.0.1" });
  });

  await t.test("a removed device is cut off at once, tries again with growing pauses, and keeps serving", async () => {
    assert.equal((await hub.operator.run("device", "rm", second.device)).code, 0);
    const lost = () => second.program.log.filter(({ event }) => event === "link.lost");
    await eventually("three refused connections", async () => (lost().length >= 3 ? true : undefined), 60_000);
    assert.equal((await answers(second))?.model_version, "1.0.1");
    const { events } = await hub.operator.json<EventList>("telemetry", "events", "--kind", "device.removed");
    assert.equal(events[0]?.fields.device, second.device);
    assert.equal((await hub.operator.run("device", "show", second.device)).code, 1);
    assert.equal((await hub.operator.run("rollout", "plan", model, "2.0.0")).code, 0);
  });
});
