import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { LatencyReport } from "@muster/shared";
import { committed, device, ended, model, rollOut } from "../e2e/line.js";
import { startHub } from "../e2e/place.js";
import { runnerOf } from "../e2e/runner-process.js";
import { type BundleKind, makeBundle } from "../fixtures/bundles.js";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { AgentMachine, eventually, type HubMachine } from "../fleet/fleet.js";

const { MUSTER_TEST_ARM64_NODE: node, MUSTER_TEST_ARM64_AGENT: agent } = process.env;
const skip = node === undefined || agent === undefined ? "needs an emulated board: npm run test:arm64" : false;
/** Under emulation a model runs some hundred times slower than on this machine, and Node takes seconds to start. */
const patienceMs = 240_000;

async function push(hub: HubMachine, folder: string, version: string, kind: BundleKind, ...flags: string[]) {
  const bundle = join(folder, "bundles", version);
  await makeBundle(bundle, { version, kind, referenceImages: 40, samples: 2, p95LatencyMs: 60_000 });
  const { code, stderr } = await hub.operator.run("model", "push", bundle, ...flags);
  assert.equal(code, 0, stderr);
}

async function startBoard(t: TestContext, hub: HubMachine, folder: string): Promise<AgentMachine> {
  assert.ok(node !== undefined && agent !== undefined);
  const board = new AgentMachine(folder, "pi", { node, agent, startMs: patienceMs });
  await board.join(hub, "site=lyon");
  await board.start();
  t.after(() => board.program.stop());
  return board;
}

test("the packed agent works on an arm64 board", { skip }, async (t) => {
  const { hub, folder } = await startHub(t, { offlineAfterMs: 60_000 });
  const board = await startBoard(t, hub, folder);
  const answer = async (seed: number, rotated: boolean) => {
    const response = await board.infer(await renderLabel({ text: labelText(seed), rotated, seed }));
    return response.ok ? ((await response.json()) as { model_version: string; label: string }) : undefined;
  };

  await t.test("it joins, and says what it is", async () => {
    const hardware = await eventually(
      "the board says hello",
      async () => (await device(hub, "pi")).hardware,
      patienceMs,
    );
    assert.deepEqual([hardware.platform, hardware.arch, hardware.cpu], ["linux", "arm64", "Cortex-A72"]);
    assert.equal(hardware.board, "Raspberry Pi 4 Model B (emulated)");
    assert.deepEqual(hardware.providers, ["cpu"]);
  });

  await t.test("it fetches a version, proves it and keeps it", async () => {
    await push(hub, folder, "1.0.0", "fp32");
    const rollout = await ended(hub, (await rollOut(hub, "1.0.0")).id, patienceMs);
    assert.equal(rollout.state, "completed", rollout.reason);
    assert.deepEqual(await committed(hub), { pi: "1.0.0" });
  });

  await t.test("it tells labels that are upside down from those that are not", async () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const rotated = seed % 2 === 0;
      const answered = await answer(seed, rotated);
      assert.deepEqual([answered?.model_version, answered?.label], ["1.0.0", rotated ? "rotated-180" : "upright"]);
    }
  });

  await t.test("its latencies come to the hub", async () => {
    const row = await eventually(
      "six inputs are reported",
      async () => {
        const { rows } = await hub.operator.json<LatencyReport>("telemetry", "latency");
        return rows.find(({ inputs }) => inputs === 6);
      },
      patienceMs,
    );
    assert.deepEqual([row.model, row.device, row.provider, row.errors], [model, "pi", "cpu", 0]);
    assert.equal((row.classes.upright ?? 0) + (row.classes["rotated-180"] ?? 0), 6);
  });

  await t.test("a broken version fails its trial, and the good one stays", async () => {
    await push(hub, folder, "2.0.0", "broken", "--no-self-test");
    const rollout = await ended(hub, (await rollOut(hub, "2.0.0")).id, patienceMs);
    assert.equal(rollout.state, "rolled-back");
    assert.match(rollout.reason ?? "", /E_SELFTEST/);
    assert.equal((await answer(7, true))?.model_version, "1.0.0");
  });

  await t.test("a version whose runner crashes on probation gives way to the one before", async () => {
    await push(hub, folder, "3.0.0", "int8-weights");
    const { id } = await rollOut(hub, "3.0.0", "--probation", "10min");
    await eventually(
      "it is on probation",
      async () => ((await device(hub, "pi")).reported?.models[0]?.candidate?.phase === "probation" ? true : undefined),
      patienceMs,
    );
    assert.equal((await answer(8, true))?.model_version, "3.0.0");
    process.kill(await runnerOf(board.program.pid), "SIGKILL");
    const rollout = await ended(hub, id, patienceMs);
    assert.equal(rollout.state, "rolled-back");
    assert.match(rollout.reason ?? "", /E_CRASH/);
    const again = await eventually("it serves again", () => answer(9, true).catch(() => undefined), patienceMs);
    assert.deepEqual([again.model_version, again.label], ["1.0.0", "rotated-180"]);
  });
});
