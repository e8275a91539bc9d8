import assert from "node:assert/strict";
import { test } from "node:test";
import { type Evidence, judge } from "./gate.js";
import { gateFigures, soakFigure } from "./gate-figures.js";

const limits = { successPercent: 90, errorPercent: 20, fallbackPercent: 25, minExecuted: 3 };

/** Everything that can be seen of waves of up to five devices. */
function* everyWave(): Generator<Evidence> {
  for (let devices = 0; devices <= 5; devices += 1) {
    for (let laggards = 0; laggards <= devices; laggards += 1) {
      for (let started = 0; started <= devices - laggards; started += 1) {
        for (let failed = 0; failed <= started; failed += 1) {
          for (let committed = 0; committed <= started - failed; committed += 1) {
            for (let fellBack = 0; fellBack <= started - failed; fellBack += 1) {
              yield { devices, laggards, started, failed, committed, fellBack };
            }
          }
        }
      }
    }
  }
}

test("the figures say together what the gate says, whatever is seen of a wave", () => {
  const verdicts = { pass: 0, wait: 0, fail: 0 };
  for (const seen of everyWave()) {
    const states = gateFigures(limits, seen).map(({ state }) => state);
    const together = states.includes("fail") ? "fail" : states.includes("wait") ? "wait" : "pass";
    assert.equal(together, judge(limits, seen).kind, `${JSON.stringify(seen)}: ${states.join()}`);
    verdicts[together] += 1;
  }
  assert.ok(Math.min(...Object.values(verdicts)) > 10, JSON.stringify(verdicts));
});

test("each figure names what was seen and its limit", () => {
  const seen = { devices: 5, laggards: 1, started: 4, committed: 1, failed: 1, fellBack: 0 };
  const [finished, errors, fallback, success] = gateFigures(limits, seen);
  assert.deepEqual([finished?.value, finished?.limit, finished?.state], [2, 4, "wait"]);
  assert.equal(finished?.text, "2 of 4 reachable devices have finished; 1 unreachable are not waited for");
  assert.deepEqual([errors?.value, errors?.limit, errors?.state], [25, 20, "wait"]);
  assert.equal(errors?.text, "1 of 4 started failed, 25 %; at most 20 % may; counts from 3 finished on");
  assert.equal(fallback?.state, "pass");
  assert.equal(success?.text, "1 of 4 started committed, 25 %; at least 90 % have to, once all have finished");
});

test("a finished wave is watched for its whole time", () => {
  const soaking = { state: "soaking", soakingSinceMs: 1000 } as const;
  assert.deepEqual(soakFigure(soaking, 60_000, 31_000), {
    ...{ gate: "soak", state: "wait", value: 30_000, limit: 60_000, unit: "ms" },
    text: "watched for 30.0 s of 1 min",
  });
  assert.equal(soakFigure(soaking, 60_000, 61_000).state, "pass");
  assert.match(soakFigure({ state: "running" }, 60_000, 0).text, /once the wave has finished/);
});
