import assert from "node:assert/strict";
import { getPriority } from "node:os";
import { test } from "node:test";
import { eventually } from "../fleet/fleet.js";
import { devices } from "./line.js";
import { startHub } from "./place.js";
import { runnerOf } from "./runner-process.js";

test("the agent steps back behind its runner, also behind one that was started again", async (t) => {
  const { hub, folder } = await startHub(t);
  const [agent] = await devices(t, hub, folder, 1);
  assert.ok(agent !== undefined);
  const { pid } = agent.program;
  const runner = await runnerOf(pid);
  await eventually("the agent steps back", async () => (getPriority(pid) > getPriority(runner) ? true : undefined));
  if (process.getuid?.() !== 0) return t.diagnostic("only root may give a new runner its place back");
  process.kill(runner, "SIGKILL");
  const next = await eventually("another runner", async () => {
    const found = await runnerOf(pid).catch(() => undefined);
    return found === runner ? undefined : found;
  });
  await eventually("it goes first again", async () => (getPriority(next) < getPriority(pid) ? true : undefined));
});
