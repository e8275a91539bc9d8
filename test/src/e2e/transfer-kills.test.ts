import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { HubStatus } from "@muster/shared";
import { eventually } from "../fleet/fleet.js";
import { committed, device, devices, ended, model, pushLarge, rollOut } from "./line.js";
import { startHub } from "./place.js";

const ballastBytes = 24_000_000;
/** `MUSTER_KILLS=50` for a long run. */
const kills = Number(process.env.MUSTER_KILLS ?? 4);
/** The largest window a device keeps in flight. */
const windowBytes = 4 * 1024 * 1024;

test("agent and hub are killed at random points of one transfer; it arrives whole, and little is sent twice", async (t) => {
  const { hub, folder } = await startHub(t, { deviceBytesPerSecond: 4_000_000 });
  const [agent] = await devices(t, hub, folder, 1);
  assert.ok(agent !== undefined);
  const sentBytes = async () => (await hub.operator.json<HubStatus>("status")).counters["artifact-bytes-sent"] ?? 0;
  const doneBytes = async () => (await device(hub, "d1")).reported?.models[0]?.candidate?.doneBytes ?? 0;
  // Encrypted, so that bytes on the link are bytes of the artifact.
  await pushLarge(hub, folder, "1.0.0", "fp32", ballastBytes, "--encrypt");
  const { id } = await rollOut(hub, "1.0.0");
  await eventually("bytes flow", async () => ((await sentBytes()) > 1_000_000 ? true : undefined));

  await t.test("the agent", async () => {
    for (let kill = 0; kill < kills; kill += 1) {
      await sleep(100 + Math.random() * 700);
      await agent.program.kill();
      await sleep(300);
      const before = await sentBytes();
      await agent.start();
      const resumed = await agent.program.waitFor("transfer.resumed", 10_000);
      const missing = Number(resumed.totalBytes) - Number(resumed.presentBytes);
      // What had been sent and is not there any more is what is sent again.
      const again = before + missing - Number(resumed.totalBytes);
      t.diagnostic(`kill ${kill + 1}: at most ${again} bytes more than the artifact`);
      assert.ok(again <= (kill + 1) * windowBytes, `${again} bytes would be sent again after ${kill + 1} kills`);
    }
  });
  await t.test("the hub", async () => {
    for (let kill = 0; kill < Math.ceil(kills / 2); kill += 1) {
      await sleep(100 + Math.random() * 500);
      await hub.program.kill();
      await hub.restart();
    }
  });
  const rollout = await ended(hub, id, 120_000);
  assert.equal(rollout.state, "completed", rollout.reason);
  assert.equal((await committed(hub)).d1, "1.0.0");
  assert.equal(await doneBytes(), 0, "nothing is under way any more");
  assert.equal((await device(hub, "d1")).reported?.models[0]?.model, model);
});
