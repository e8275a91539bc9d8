import assert from "node:assert/strict";
import { test } from "node:test";
import type { RolloutExplanation } from "@muster/shared";
import { eventually } from "../fleet/fleet.js";
import { devices, ended, model, push, rollOut } from "./line.js";
import { startHub } from "./place.js";

test("a rollout explains what it waits for, how its devices chose, and what became of it", async (t) => {
  const { hub, folder } = await startHub(t);
  await devices(t, hub, folder, 2);
  await push(hub, folder, "1.0.0", "fp32");
  const { id } = await rollOut(hub, "1.0.0", "--waves", "1,100%", "--probation", "10min");
  const explain = (...flags: string[]) => hub.operator.json<RolloutExplanation>("rollout", "explain", id, ...flags);

  const {
    why,
    next,
    wave,
    devices: shown,
  } = await eventually("the canary is on probation", async () => {
    const explanation = await explain();
    return explanation.devices[0]?.phase === "probation" ? explanation : undefined;
  });
  const [canary] = shown;
  assert.ok(canary !== undefined);
  assert.equal(why, `wave 1 of 2 waits for a device: ${canary.device} runs the version on probation for 10 min`);
  assert.deepEqual([canary.holdsUp, canary.online, canary.wave], [true, true, 1]);
  assert.match(next[0]?.what ?? "", /fails with E_TIMEOUT unless it has finished/);
  assert.ok((next[0]?.atMs ?? 0) > Date.now());
  assert.deepEqual(
    wave?.gates.map(({ gate, state }) => `${gate} ${state}`),
    ["finished wait", "errors pass", "fallback pass", "success wait", "soak wait"],
  );
  const { chosen, tried = [] } = canary.trial ?? {};
  assert.equal(chosen?.provider, "cpu");
  assert.ok(tried.some(({ p95Ms }) => (p95Ms ?? 0) > 0));

  const other = canary.device === "d1" ? "d2" : "d1";
  const { devices: asked } = await explain("--device", other);
  assert.deepEqual(
    asked.map(({ device, why: reason }) => [device, reason]),
    [[other, "is in wave 2, which begins when wave 1 has passed"]],
  );
  const { code, stderr } = await hub.operator.run("rollout", "explain", id, "--device", "d9");
  assert.equal(code, 1);
  assert.match(stderr, /does not reach device d9/);
  const { stdout } = await hub.operator.run("rollout", "explain", id);
  assert.match(stdout, /why +wave 1 of 2 waits for a device: d[12] runs the version on probation/);
  assert.match(stdout, /finished +wait +0 of 1 reachable devices have finished/);
  assert.match(stdout, /TRIAL OF 1\.0\.0 +PROVIDER[\s\S]*chosen/);

  await hub.operator.run("rollout", "halt", id);
  await ended(hub, id);
  const over = await explain();
  assert.equal(over.state, "rolled-back");
  assert.equal(over.why, "it was halted, and the version was taken back: halted by an operator");
  assert.deepEqual([over.wave?.gates, over.next], [[], []]);
  assert.equal(over.model, model);
});
