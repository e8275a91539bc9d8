import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { FakeClock } from "@muster/shared/testing";
import { FactTree } from "./facts/tree.js";
import { watchHeat } from "./heat-watch.js";
import { memoryLog, temporaryFolder, until } from "./runner/testing.js";

test("a device that is slowed down by heat is told once, counted, and shadows rest until it is over", async (t) => {
  const root = await temporaryFolder();
  const folder = join(root, "sys/class/thermal/cooling_device0");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "type"), "cpufreq-cpu0\n");
  const step = (state: number) => writeFile(join(folder, "cur_state"), `${state}\n`);
  await step(0);
  const clock = new FakeClock();
  const told: (readonly [string, unknown])[] = [];
  const pauses: boolean[] = [];
  const close = watchHeat({
    runner: { pauseShadows: async (paused) => void pauses.push(paused) },
    tell: async (kind, { times }) => void told.push([kind, times]),
    ...{ clock, log: memoryLog(), tree: new FactTree(root) },
  });
  t.after(close);
  const after = async (what: string, holds: () => boolean) => {
    await until(what, () => {
      clock.advance(10_000);
      return holds();
    });
  };
  await step(2);
  await after("it is told", () => told.length === 1);
  await after("the pause is said again", () => pauses.length > 2);
  await step(0);
  await after("its end is told", () => told.length === 2);
  await step(1);
  await after("the next one is told", () => told.length === 3);
  assert.deepEqual(told, [
    ["device.throttled", 1],
    ["device.cooled", 1],
    ["device.throttled", 2],
  ]);
  assert.deepEqual([pauses[0], pauses.includes(false)], [true, true]);
});
