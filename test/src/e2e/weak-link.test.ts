import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../fleet/fleet.js";
import { damagedBlobs } from "../fleet/shelf-files.js";
import { WeakLink } from "../fleet/weak-link.js";
import { committed, devices, ended, pushLarge, rollOut, windowBytes } from "./line.js";
import { startHub } from "./place.js";

const ballastBytes = 12_000_000;
/** After so many bytes from the hub the flapping link is cut: at once, in the handshake, behind it, and in the transfer. */
const flaps = [0, 1000, 6000, 300_000];

test("a transfer goes on over a link that is cut, flaps, stands still, is slow and loses its hub, and little is sent twice", async (t) => {
  const { hub, folder } = await startHub(t, { deviceBytesPerSecond: 4_000_000 });
  const link = await WeakLink.open(hub.mqttPort);
  t.after(() => link.close());
  const [agent] = await devices(t, hub, folder, 1, link);
  assert.ok(agent !== undefined);
  const lost = () => agent.program.log.filter(({ event }) => event === "link.lost").length;
  const more = async (what: string, bytes = 500_000) => {
    const before = link.downBytes;
    await eventually(what, async () => (link.downBytes - before > bytes ? true : undefined), 60_000, 20);
  };
  await pushLarge(hub, folder, "1.0.0", "fp32", ballastBytes, "--encrypt");
  const beforeBytes = link.downBytes;
  const { id } = await rollOut(hub, "1.0.0");
  await more("bytes flow");

  await t.test("cut for a while", async () => {
    const before = lost();
    link.cut();
    await eventually("the device notices", async () => (lost() > before ? true : undefined));
    await eventually("it cannot come back", async () => (lost() > before + 1 ? true : undefined));
    link.mend();
    await more("bytes flow again");
  });
  await t.test("cut several times in a row, also while it connects", async () => {
    for (const bytes of flaps) {
      const before = link.connects;
      link.cutAfterBytes = bytes;
      link.reset();
      await eventually(`it connects, and is cut after ${bytes} bytes`, async () =>
        link.connects > before ? true : undefined,
      );
    }
    link.cutAfterBytes = undefined;
    await more("bytes flow again");
  });
  await t.test("silent, until what was asked for is overdue", async () => {
    const known = agent.program.log.length;
    link.hold();
    await eventually("it asks again", async () =>
      agent.program.log.slice(known).some(({ event }) => event === "transfer.timeout") ? true : undefined,
    );
    link.release();
    await more("bytes flow again");
  });
  await t.test("the hub killed behind it", async () => {
    await hub.program.kill();
    await hub.restart();
    await more("bytes flow again");
  });
  link.delayMs = 50;
  const rollout = await ended(hub, id, 120_000);
  assert.equal(rollout.state, "completed", rollout.reason);
  assert.deepEqual(await committed(hub), { d1: "1.0.0" });
  assert.deepEqual(await damagedBlobs(agent), []);
  const [completed] = agent.program.log.filter(({ event }) => event === "transfer.completed");
  const totalBytes = Number(completed?.totalBytes);
  const again = link.downBytes - beforeBytes - totalBytes;
  t.diagnostic(`${again} bytes beside the ${totalBytes} of the artifact, over ${link.connects} connections`);
  const faults = 3 + flaps.length;
  assert.ok(again < faults * windowBytes, `${again} bytes after ${faults} faults`);
  assert.ok(link.connects < 40, `${link.connects} connections are a storm`);
});
