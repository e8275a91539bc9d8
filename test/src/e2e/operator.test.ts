import assert from "node:assert/strict";
import { test } from "node:test";
import type { Device, DeviceList, Rollout, RolloutPlan } from "@muster/shared";
import { eventually } from "../fleet/fleet.js";
import { committed, devices, ended, model, push, rollOut } from "./line.js";
import { startHub } from "./place.js";

test("an operator labels devices, plans, pauses, resumes and watches a rollout", async (t) => {
  const { hub, folder } = await startHub(t);
  await devices(t, hub, folder, 3);
  await push(hub, folder, "1.0.0", "fp32");
  const { operator } = hub;

  await t.test("labels decide who is selected", async () => {
    assert.equal((await operator.run("device", "label", "d3", "site=nice,spare=yes")).code, 0);
    const names = async (selector: string) =>
      (await operator.json<DeviceList>("device", "ls", "--selector", selector)).devices.map(({ id }) => id);
    assert.deepEqual(await names("site=lyon"), ["d1", "d2"]);
    assert.deepEqual(await names("spare,site!=lyon"), ["d3"]);
    assert.equal((await operator.run("device", "label", "d3", "--remove", "spare")).code, 0);
    assert.deepEqual((await operator.json<Device>("device", "show", "d3")).labels, { site: "nice" });
    const bad = await operator.run("device", "ls", "--selector", "site=a=b");
    assert.equal(bad.code, 2);
    assert.match(bad.stderr, /'site=a=b' cannot be read/);
  });

  await t.test(
    "the plan is what the rollout does; paused, it offers nothing new; a second one waits its turn",
    async () => {
      const plan = await operator.json<RolloutPlan>(
        "rollout",
        "plan",
        model,
        "1.0.0",
        "--waves",
        "1,100%",
        "--selector",
        "site=lyon",
      );
      const started = await rollOut(hub, "1.0.0", "--waves", "1,100%", "--selector", "site=lyon");
      const waves = (rollout: Rollout) => rollout.waves.map((wave) => wave.devices.map(({ device }) => device));
      assert.deepEqual(waves(started), plan.waves);
      assert.equal((await operator.run("rollout", "pause", started.id)).code, 0);
      assert.equal((await operator.run("rollout", "pause", started.id)).code, 1);
      const first = plan.waves[0]?.[0] ?? "";
      await eventually("the first wave has committed", async () =>
        (await committed(hub))[first] === "1.0.0" ? true : undefined,
      );
      const paused = await operator.json<Rollout>("rollout", "show", started.id);
      assert.deepEqual([paused.state, paused.waves[1]?.state], ["paused", "pending"]);
      const second = await operator.run("rollout", "start", model, "1.0.0", "--selector", "site=lyon");
      assert.equal(second.code, 1);
      assert.match(second.stderr, new RegExp(`would reach no device: rollout ${started.id} .* has not ended`));
      assert.equal((await operator.run("rollout", "resume", started.id)).code, 0);
      const watch = await operator.run("rollout", "watch", started.id, "--timeout", "60s");
      assert.equal(watch.code, 0, watch.stderr);
      assert.deepEqual(await committed(hub), { d1: "1.0.0", d2: "1.0.0", d3: undefined });
    },
  );

  await t.test("a device that comes to match while a rollout runs enters its last wave", async () => {
    const { id } = await rollOut(hub, "1.0.0", "--selector", "site=lyon", "--soak", "8s");
    assert.equal((await operator.run("device", "label", "d3", "site=lyon")).code, 0);
    const rollout = await ended(hub, id);
    assert.deepEqual([rollout.state, rollout.waves.at(-1)?.devices.length], ["completed", 3]);
    assert.equal((await committed(hub)).d3, "1.0.0");
  });

  await t.test("a rollout that cannot end in time ends the watch with 4", async () => {
    const { id } = await rollOut(hub, "1.0.0", "--soak", "10min");
    assert.equal((await operator.run("rollout", "watch", id, "--timeout", "2s")).code, 4);
    assert.equal((await operator.run("rollout", "halt", id)).code, 0);
    assert.equal((await operator.run("rollout", "watch", id, "--timeout", "60s")).code, 3);
  });
});
