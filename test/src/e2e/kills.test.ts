import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { EventList, LatencyReport } from "@muster/shared";
import { writeLabels } from "../fixtures/photo-stream.js";
import { eventually } from "../fleet/fleet.js";
import { committed, devices, ended, push, rollOut } from "./line.js";
import { startHub } from "./place.js";

test("agents and hub are killed again and again while versions roll out; all arrive, and nothing acknowledged is lost", async (t) => {
  const { hub, folder } = await startHub(t, { deviceBytesPerSecond: 400_000 });
  const machines = await devices(t, hub, folder, 2);
  const [victim] = machines;
  assert.ok(victim !== undefined);
  const versions = [
    ["1.0.0", "fp32"],
    ["2.0.0", "fine-tuned"],
    ["3.0.0", "int8-weights"],
  ] as const;
  let seenEvents = 0;
  for (const [at, [version, kind]] of versions.entries()) {
    await push(hub, folder, version, kind);
    const { id } = await rollOut(hub, version, "--probation", "1s");
    for (let kill = 0; kill < 2; kill += 1) {
      // Spread over transfer, trial and probation; a third start of a trial would rightly count against the version.
      await sleep(250 + 400 * ((kill + at) % 3) + 130 * kill);
      await victim.program.kill();
      if (kill === 1) {
        await hub.program.kill();
        await hub.restart();
      }
      await victim.start();
    }
    const rollout = await ended(hub, id);
    assert.equal(rollout.state, "completed", `${version}: ${rollout.reason}`);
    assert.deepEqual(await committed(hub), { d1: version, d2: version });
    const { events } = await hub.operator.json<EventList>("telemetry", "events", "--limit", "1000");
    assert.ok(events.length > seenEvents, "events were lost");
    seenEvents = events.length;
  }

  await t.test(
    "every answered input is in the telemetry once, also those answered while the hub was down",
    async () => {
      const inputs = async () => {
        const { rows } = await hub.operator.json<LatencyReport>(
          "telemetry",
          "latency",
          "--device",
          victim.device,
          "--model-version",
          "3.0.0",
        );
        return rows.reduce((sum, row) => sum + row.inputs, 0);
      };
      await writeLabels(victim.inbox, { count: 20, seed: 1 });
      await eventually("20 inputs", async () => ((await inputs()) === 20 ? true : undefined));
      await hub.program.kill();
      await writeLabels(victim.inbox, { count: 30, seed: 2 });
      await eventually("windows wait in the spool", async () =>
        victim.program.log.some(({ event }) => event === "link.lost") ? true : undefined,
      );
      await sleep(2000);
      await hub.restart();
      await eventually("50 inputs", async () => ((await inputs()) >= 50 ? true : undefined), 90_000);
      assert.equal(await inputs(), 50);
    },
  );
});
