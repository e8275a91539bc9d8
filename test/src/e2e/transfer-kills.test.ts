import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { HubStatus } from "@muster/shared";
import { type AgentMachine, eventually } from "../fleet/fleet.js";
import { damagedBlobs } from "../fleet/shelf-files.js";
import { WeakLink } from "../fleet/weak-link.js";
import { committed, device, devices, ended, model, pushLarge, rollOut, windowBytes } from "./line.js";
import { startHub } from "./place.js";

/** `MUSTER_KILLS=50` for a long run, with a longer `--test-timeout`. */
const kills = Number(process.env.MUSTER_KILLS ?? 4);
const hubKills = Math.ceil(0.4 * kills);
/** More than can be fetched between the kills. */
const ballastBytes = 8_000_000 * (kills + hubKills);
/** What a connection costs besides the artifact: handshake, hello, desired document; and per byte: frames, records. */
const connectBytes = 50_000;
const framingShare = 0.01;

test("agent and hub are killed at random points of one transfer; it arrives whole, and little is sent twice", async (t) => {
  const { hub, folder } = await startHub(t, { deviceBytesPerSecond: 4_000_000 });
  const link = await WeakLink.open(hub.mqttPort);
  t.after(() => link.close());
  const [agent] = await devices(t, hub, folder, 1, link);
  assert.ok(agent !== undefined);
  const sentBytes = async () => (await hub.operator.json<HubStatus>("status")).counters["artifact-bytes-sent"] ?? 0;
  const doneBytes = async () => (await device(hub, "d1")).reported?.models[0]?.candidate?.doneBytes ?? 0;
  // Encrypted, so that bytes on the link are bytes of the artifact.
  await pushLarge(hub, folder, "1.0.0", "fp32", ballastBytes, "--encrypt");
  const { id } = await rollOut(hub, "1.0.0");
  await eventually("bytes flow", async () => ((await sentBytes()) > 1_000_000 ? true : undefined));
  let missingBytes = 0;
  let linkBytes = 0;

  await t.test("the agent", async () => {
    let againBefore = 0;
    for (let kill = 1; kill <= kills; kill += 1) {
      await sleep(100 + Math.random() * 700);
      const files: string[] = await agent.program.openFilesOfChildren();
      assert.deepEqual(
        files.filter((file) => file.includes("/partials/")),
        [],
      );
      await agent.program.kill();
      const before = await settled(sentBytes);
      assert.deepEqual(await damagedBlobs(agent), [], "what lies among the blobs is whole");
      linkBytes = link.downBytes;
      const resumed = await restarted(agent);
      missingBytes = Number(resumed.totalBytes) - Number(resumed.presentBytes);
      // What had been sent and is not there any more is what is sent again.
      const again = before + missingBytes - Number(resumed.totalBytes);
      t.diagnostic(`kill ${kill}: ${again - againBefore} bytes to be sent again`);
      assert.ok(again - againBefore <= windowBytes, `${again - againBefore} bytes are sent again after one kill`);
      againBefore = again;
    }
    t.diagnostic(`${kills} kills of the agent: ${againBefore} bytes again in all`);
  });
  await t.test("the hub", async () => {
    for (let kill = 0; kill < hubKills; kill += 1) {
      const known = agent.program.log.length;
      await sleep(100 + Math.random() * 500);
      await hub.program.kill();
      await hub.restart();
      await eventually("bytes flow again", async () => {
        const connected = agent.program.log.slice(known).some(({ event }) => event === "link.connected");
        return connected && (await sentBytes()) > 500_000 ? true : undefined;
      });
    }
    assert.ok((await doneBytes()) > 0, "the transfer was over before the last kill");
  });
  const rollout = await ended(hub, id, 120_000);
  assert.equal(rollout.state, "completed", rollout.reason);
  assert.equal((await committed(hub)).d1, "1.0.0");
  assert.equal(await doneBytes(), 0, "nothing is under way any more");
  assert.equal((await device(hub, "d1")).reported?.models[0]?.model, model);
  assert.deepEqual(await damagedBlobs(agent), []);
  const again = link.downBytes - linkBytes - missingBytes;
  t.diagnostic(`${hubKills} kills of the hub: ${again} bytes beside the ${missingBytes} that were missing`);
  assert.ok(again < hubKills * (windowBytes + connectBytes) + framingShare * missingBytes + connectBytes, `${again}`);
});

/** A number once it stays the same: a hub that was not told goes on sending for a moment. */
async function settled(read: () => Promise<number>): Promise<number> {
  let before = await read();
  return eventually("nothing more is sent", async () => {
    const now = await read();
    if (now === before) return now;
    before = now;
    return undefined;
  });
}

async function restarted(agent: AgentMachine) {
  await agent.start();
  return agent.program.waitFor("transfer.resumed", 30_000);
}
