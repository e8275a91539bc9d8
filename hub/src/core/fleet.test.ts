import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSelector, planWaves, selects } from "./fleet.js";

const picks = (selector: string, labels: Record<string, string>) => selects(parseSelector(selector), "dev-1", labels);

test("a selector holds when every term does", () => {
  assert.ok(picks("", {}));
  assert.ok(picks("site=lyon,line!=3", { site: "lyon", line: "1" }));
  assert.ok(!picks("site=lyon,line!=3", { site: "lyon", line: "3" }));
  assert.ok(picks("line!=3", {}), "a missing label is different from any value");
  assert.ok(picks("camera,!retired", { camera: "" }));
  assert.ok(!picks("!camera", { camera: "x" }));
  assert.ok(picks("device=dev-1", {}));
  assert.ok(!picks("device=dev-2", {}));
});

test("a selector that cannot be read names the term", () => {
  for (const bad of ["=x", "site=a=b", "!!x", "site=a b", "a!b"]) {
    assert.throws(() => parseSelector(`ok=1,${bad}`), {
      code: "selector/invalid",
      message: new RegExp(bad.slice(0, 3).replace(/[!=]/g, ".")),
    });
  }
});

test("waves reach what they say, counted together, and the last takes all", () => {
  const devices = Array.from({ length: 100 }, (_, at) => `d${at}`);
  const waves = planWaves(devices, [{ devices: 5 }, { percent: 10 }, { percent: 50 }, { percent: 60 }], "r-1");
  assert.deepEqual(
    waves.map((wave) => wave.length),
    [5, 5, 40, 50],
  );
  assert.deepEqual(waves.flat().sort(), [...devices].sort());
});

test("waves that would be empty are left out", () => {
  const waves = planWaves(["a", "b"], [{ devices: 5 }, { percent: 100 }], "");
  assert.deepEqual(
    waves.map((wave) => wave.length),
    [2],
  );
  assert.deepEqual(planWaves([], [{ devices: 5 }, { percent: 100 }], ""), []);
});

test("the order of devices is stable for a seed and differs between seeds", () => {
  const devices = Array.from({ length: 50 }, (_, at) => `line-${at}`);
  const order = (seed: string) => planWaves(devices, [{ percent: 100 }], seed).flat();
  assert.deepEqual(order("r-1"), order("r-1"));
  assert.notDeepEqual(order("r-1"), order("r-2"));
  assert.notDeepEqual(order("r-1"), devices);
});
