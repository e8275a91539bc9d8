import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { eventually } from "../fleet/fleet.js";
import { damagedBlobs, partialBytes, shelfFiles } from "../fleet/shelf-files.js";
import { committed, devices, ended, push, pushLarge, rollOut } from "./line.js";
import { startHub } from "./place.js";

const run = promisify(execFile);
const diskBytes = 30_000_000;
const ballastBytes = 10_000_000;

test("a disk that is full, before a transfer or in its middle, fails the attempt by name; with room the next one arrives", async (t) => {
  const { hub, folder } = await startHub(t, { deviceBytesPerSecond: 4_000_000 });
  const disk = join(folder, "d1");
  await mkdir(disk);
  const mounted = await run("mount", ["-t", "tmpfs", "-o", `size=${diskBytes}`, "none", disk]).catch(() => undefined);
  if (mounted === undefined) {
    t.skip("no small disk can be mounted here; see agent/src/transfer-disk.test.ts");
    return;
  }
  try {
    const [agent] = await devices(t, hub, folder, 1);
    assert.ok(agent !== undefined);
    await push(hub, folder, "1.0.0", "fp32");
    assert.equal((await ended(hub, (await rollOut(hub, "1.0.0")).id)).state, "completed");
    await pushLarge(hub, folder, "2.0.0", "fp32", ballastBytes, "--encrypt");
    const filler = join(disk, "filler");
    const leave = async (bytes: number) => {
      const { bavail, bsize } = await statfs(disk);
      const filling = writeFile(filler, Buffer.alloc(Math.max(0, bavail * bsize - bytes), 1));
      // The device writes at the same time, and may take the last byte.
      await filling.catch((error: NodeJS.ErrnoException) => assert.equal(error.code, "ENOSPC"));
    };
    const keeps = async () => {
      assert.deepEqual((await shelfFiles(agent)).partials, []);
      assert.deepEqual(await damagedBlobs(agent), []);
      const jpeg = await renderLabel({ text: labelText(3), rotated: true, seed: 3 });
      const answer = (await (await agent.infer(jpeg)).json()) as { model_version: string };
      assert.equal(answer.model_version, "1.0.0");
      assert.deepEqual(await committed(hub), { d1: "1.0.0" });
    };

    await t.test("no room from the start: not a byte of it is asked for", async () => {
      await leave(ballastBytes / 2);
      const rollout = await ended(hub, (await rollOut(hub, "2.0.0")).id);
      assert.match(rollout.reason ?? "", /E_DISK needs \d+ more bytes, \d+ are free; make room in the data folder/);
      assert.ok(!agent.program.log.some(({ event }) => event === "transfer.resumed"));
      await keeps();
    });
    await t.test("it fills up in the middle, to the last byte", async () => {
      await rm(filler);
      const { id } = await rollOut(hub, "2.0.0");
      await eventually("bytes arrive", async () => {
        const { partials } = await shelfFiles(agent);
        const sizes = await Promise.all(partials.map((name) => partialBytes(agent, name.split(".")[0] ?? "")));
        return Math.max(0, ...sizes) > 1_000_000 ? true : undefined;
      });
      await leave(0);
      const rollout = await ended(hub, id);
      assert.match(rollout.reason ?? "", /E_DISK the disk is full/);
      await keeps();
    });
    await t.test("with room it arrives", async () => {
      await rm(filler);
      const rollout = await ended(hub, (await rollOut(hub, "2.0.0")).id);
      assert.equal(rollout.state, "completed", rollout.reason);
      assert.deepEqual(await committed(hub), { d1: "2.0.0" });
    });
    await agent.program.stop();
  } finally {
    await run("umount", ["--lazy", disk]);
  }
});
