import assert from "node:assert/strict";
import { test } from "node:test";
import type { HubStatus, LatencyReport } from "@muster/shared";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { programs, runCommand } from "../fleet/cli.js";
import { eventually } from "../fleet/fleet.js";
import { startMosquittoHub } from "../fleet/mosquitto-hub.js";
import { damagedBlobs } from "../fleet/shelf-files.js";
import { committed, device, devices, ended, push, pushLarge, rollOut } from "./line.js";

const ballastBytes = 16_000_000;

test("a fleet runs through a Mosquitto that an operator set up with one command", async (t) => {
  const { hub, broker, folder } = await startMosquittoHub(t, { deviceBytesPerSecond: 4_000_000 });
  const [agent, other] = await devices(t, hub, folder, 2);
  assert.ok(agent !== undefined && other !== undefined);
  const sentBytes = async () => (await hub.operator.json<HubStatus>("status")).counters["artifact-bytes-sent"] ?? 0;
  const flowing = async (beyond: number) =>
    eventually("bytes flow", async () => ((await sentBytes()) > beyond ? true : undefined), 60_000, 50);

  await t.test("a version comes, serves, and is measured", async () => {
    await push(hub, folder, "1.0.0", "fp32");
    assert.equal((await ended(hub, (await rollOut(hub, "1.0.0")).id)).state, "completed");
    assert.deepEqual(await committed(hub), { d1: "1.0.0", d2: "1.0.0" });
    const jpeg = await renderLabel({ text: labelText(3), rotated: true, seed: 3 });
    const answer = (await (await agent.infer(jpeg)).json()) as { label: string };
    assert.equal(answer.label, "rotated-180");
    await eventually("telemetry arrives", async () => {
      const { rows } = await hub.operator.json<LatencyReport>("telemetry", "latency", "--device", "d1");
      return rows.some(({ inputs }) => inputs > 0) ? true : undefined;
    });
  });

  await t.test("a device that has nothing to say stays online, one that breaks is offline at once", async () => {
    const before = (await device(hub, "d1")).lastSeenMs ?? 0;
    await eventually("it is asked and answers", async () => {
      const { online, lastSeenMs = 0 } = await device(hub, "d1");
      assert.ok(online);
      return lastSeenMs > before + 7000 ? true : undefined;
    });
    await other.program.kill();
    await eventually("it is offline", async () => ((await device(hub, "d2")).online ? undefined : true), 5000);
    await other.start();
    await eventually("it is back", async () => ((await device(hub, "d2")).online ? true : undefined));
  });

  await t.test("broker and hub are killed in the middle of a transfer, which arrives whole", async () => {
    await pushLarge(hub, folder, "2.0.0", "fp32", ballastBytes, "--encrypt");
    const begun = await sentBytes();
    const { id } = await rollOut(hub, "2.0.0");
    await flowing(begun + 2_000_000);
    await broker.kill();
    await hub.program.waitFor("broker.lost", 10_000);
    await broker.restart();
    await flowing((await sentBytes()) + 1_000_000);
    await hub.program.kill();
    await hub.restart();
    await flowing(1_000_000);
    await broker.kill();
    await broker.restart();
    const rollout = await ended(hub, id, 120_000);
    assert.equal(rollout.state, "completed", rollout.reason);
    assert.deepEqual(await committed(hub), { d1: "2.0.0", d2: "2.0.0" });
    for (const machine of [agent, other]) assert.deepEqual(await damagedBlobs(machine), []);
  });

  await t.test("a hub that was stopped finds the devices again, which stayed connected meanwhile", async () => {
    await hub.program.stop();
    await hub.restart();
    await push(hub, folder, "3.0.0", "int8-weights");
    assert.equal((await ended(hub, (await rollOut(hub, "3.0.0")).id)).state, "completed");
    assert.deepEqual(await committed(hub), { d1: "3.0.0", d2: "3.0.0" });
  });
});

test("a device that is revoked or removed is cut off at a Mosquitto too, and refused by it", async (t) => {
  const { hub, broker, folder } = await startMosquittoHub(t);
  const machines = await devices(t, hub, folder, 3);
  const [revoked, removed, other] = machines;
  assert.ok(revoked !== undefined && removed !== undefined && other !== undefined);
  const online = async (id: string) => (await device(hub, id)).online;
  for (const { device: id } of machines) {
    await eventually(`${id} is online`, async () => ((await online(id)) ? true : undefined));
  }
  const lost = {
    revoked: revoked.program.waitFor("link.lost", 30_000),
    removed: removed.program.waitFor("link.lost", 30_000),
  };
  await hub.operator.json("device", "revoke", "d1", "--reason", "stolen");
  await hub.operator.json("device", "rm", "d2");
  await lost.revoked;
  await lost.removed;
  await eventually("it is offline", async () => ((await online("d1")) ? undefined : true));
  await eventually("the broker itself refuses both", async () => {
    const refusals = (await broker.log()).match(/certificate verify failed/g) ?? [];
    return refusals.length >= 2 ? true : undefined;
  });
  for (const machine of [revoked, removed]) {
    const refused = await machine.program.waitFor("link.lost", 60_000, ({ reason }) => /refuses/.test(String(reason)));
    assert.match(String(refused.reason), /refuses this device's certificate: it was revoked/);
  }
  assert.ok(await online("d3"));
  assert.deepEqual(
    other.program.log.filter(({ event }) => event === "link.lost"),
    [],
  );
  const { counters } = await hub.operator.json<HubStatus>("status");
  assert.ok((counters["device-kicked"] ?? 0) >= 2, JSON.stringify(counters));

  await t.test("invited again, it comes back under its name", async () => {
    const { url, token } = await hub.operator.json<{ url: string; token: string }>(
      "device",
      "invite",
      "--device",
      "d1",
      "--again",
    );
    await revoked.program.stop();
    const args = ["--data-dir", revoked.dataDir, "join", url, token, "--device", "d1", "--again"];
    const { code, stderr } = await runCommand(programs.agent, args);
    assert.equal(code, 0, stderr);
    await revoked.start();
    await eventually("it is back", async () => ((await online("d1")) ? true : undefined));
  });
});
