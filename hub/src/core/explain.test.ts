import assert from "node:assert/strict";
import { test } from "node:test";
import { RolloutSettings } from "@muster/shared";
import { explain } from "./explain.js";
import type { DeviceFacts } from "./explain-device.js";
import { advance, command, type Progress, type RolloutRecord, type Sighting } from "./rollout.js";

const settings = RolloutSettings.parse({ soakMs: 60_000, retries: 0, inProgressTimeoutMs: 600_000, minExecuted: 2 });
const unseen: Sighting = { online: true, attempt: "unseen", restored: true };

/** A rollout that goes on by its own rules while its devices are moved by hand. */
class Bench {
  rollout: RolloutRecord;
  progress: readonly Progress[];
  readonly facts = new Map<string, DeviceFacts>();

  constructor(waves: string[][]) {
    this.rollout = { state: "running", settings, waves: waves.map(() => ({ state: "pending" })) };
    this.progress = waves.flatMap((wave, at) =>
      wave.map((device): Progress => ({ device, wave: at, state: "waiting", tries: 0 })),
    );
  }

  say(device: string, sighting: Partial<Sighting>, more: Partial<DeviceFacts> = {}): void {
    this.facts.set(device, { sighting: { ...unseen, ...sighting }, lastSeenMs: 0, ...more });
  }

  of(device: string): DeviceFacts {
    return this.facts.get(device) ?? { sighting: unseen, lastSeenMs: 0 };
  }

  settle(nowMs: number): void {
    for (let turn = 0; turn < 50; turn += 1) {
      const { rollout, progress } = advance(this.rollout, this.progress, (id) => this.of(id).sighting, nowMs);
      const same = JSON.stringify([rollout, progress]) === JSON.stringify([this.rollout, this.progress]);
      [this.rollout, this.progress] = [rollout, progress];
      if (same) return;
    }
    assert.fail("the rollout does not come to rest");
  }

  explain(nowMs: number, device?: string) {
    return explain(this.rollout, this.progress, (id) => this.of(id), { device, limit: 10 }, nowMs);
  }
}

const candidate = { attempt: "r.0", version: "2", manifest: "a".repeat(64) };

test("a wave says which devices it waits for, what they are at, and until when", () => {
  const bench = new Bench([["a", "b", "c"], ["d"]]);
  bench.settle(0);
  const downloading = { ...candidate, phase: "downloading", doneBytes: 1_000_000, totalBytes: 4_000_000 } as const;
  bench.say("a", { attempt: "committed" });
  bench.say("b", { attempt: "started" }, { candidate: downloading });
  bench.settle(10_000);
  const { why, next, wave, counts, devices, more } = bench.explain(20_000);
  assert.equal(
    why,
    "wave 1 of 2 waits for 2 devices: b downloads, 1.0 MB of 4.0 MB; c was offered the version 20.0 s ago and has not begun",
  );
  assert.deepEqual(next, [
    { what: "c fails with E_TIMEOUT unless it has finished, and is not tried again", atMs: 600_000 },
    { what: "once its devices have finished, it is watched for 1 min, then wave 2 of 2 begins" },
  ]);
  assert.deepEqual([wave?.number, wave?.of, wave?.state, wave?.devices], [1, 2, "running", 3]);
  assert.deepEqual(
    wave?.gates.map(({ gate, state }) => `${gate} ${state}`),
    ["finished wait", "errors pass", "fallback pass", "success wait", "soak wait"],
  );
  assert.deepEqual(counts, { committed: 1, started: 1, offered: 1, waiting: 1 });
  assert.deepEqual(
    devices.map(({ device, holdsUp }) => [device, holdsUp]),
    [
      ["b", true],
      ["c", true],
    ],
  );
  assert.equal(more, 0);
  const [asked] = bench.explain(20_000, "d").devices;
  assert.equal(asked?.why, "is in wave 2, which begins when wave 1 has passed");
  assert.equal(bench.explain(20_000, "a").devices[0]?.why, "has taken the version over");
});

test("a finished wave says when the next one begins, and what time has come it does not say again", () => {
  const bench = new Bench([["a"], ["b"]]);
  bench.settle(0);
  bench.say("a", { attempt: "committed" });
  bench.settle(5000);
  const { why, next } = bench.explain(6000);
  assert.equal(why, "wave 1 of 2 has finished and is watched for 1 min");
  assert.deepEqual(next, [{ what: "wave 2 of 2 begins", atMs: 65_000 }]);
  bench.settle(next[0]?.atMs ?? 0);
  assert.equal(bench.rollout.waves[1]?.state, "running", "as was said");
  bench.say("b", { attempt: "committed" });
  bench.settle(70_000);
  assert.deepEqual(bench.explain(70_000).next, [{ what: "the rollout is complete", atMs: 130_000 }]);
  bench.settle(130_000);
  const over = bench.explain(130_000);
  assert.deepEqual([over.state, over.why, over.next, over.wave], ["completed", "it has ended", [], undefined]);
});

test("a wave whose devices are all away says so, and what they get when they return", () => {
  const bench = new Bench([["a", "b"]]);
  for (const device of ["a", "b"]) bench.say(device, { online: false });
  bench.settle(0);
  bench.settle(1000);
  const { why, next, devices } = bench.explain(120_000);
  assert.equal(why, "wave 1 of 1 waits: no device of it is reachable");
  assert.equal(next.at(-1)?.what, "2 unreachable devices get the version when they return");
  assert.equal(devices[0]?.why, "has been silent for 2 min; the wave does not wait for it");
});

test("a halted rollout says why, and who is not back yet", () => {
  const bench = new Bench([["a", "b", "c"]]);
  bench.settle(0);
  const error = { code: "E_SELFTEST", detail: "sample 2 says ok" };
  for (const device of ["a", "b"]) bench.say(device, { attempt: "failed", error, restored: false });
  bench.say("c", { attempt: "started", restored: false }, { candidate: { ...candidate, phase: "probation" } });
  bench.settle(1000);
  const { state, why, wave, devices } = bench.explain(2000);
  assert.equal(state, "rolling-back");
  assert.deepEqual([wave?.state, wave?.gates], ["failed", []], "the devices show nothing of it any more");
  assert.match(why, /^it was halted, and the version is taken back: wave 1: .*E_SELFTEST.*; 3 devices have not said/);
  assert.equal(devices[0]?.why, "is to go back to what it had before, and has not said yet that it did");
  for (const device of ["a", "b", "c"]) bench.say(device, { attempt: "failed", error, restored: true });
  bench.settle(3000);
  assert.match(bench.explain(3000).why, /^it was halted, and the version was taken back/);
});

test("a paused rollout names the way on, and a failed device is not tried again", () => {
  const bench = new Bench([["a", "b", "c", "d"], ["e"]]);
  bench.settle(0);
  bench.say("a", { attempt: "failed", error: { code: "E_DISK", detail: "no room" } });
  bench.settle(1000);
  bench.rollout = command(bench.rollout, "pause") ?? bench.rollout;
  const { why, next, devices } = bench.explain(2000);
  assert.equal(why, "no further wave begins because it is paused: paused by an operator");
  assert.deepEqual(next, [{ what: "goes on after: muster rollout resume" }]);
  const failed = devices.find(({ device }) => device === "a");
  assert.equal(failed?.why, "failed: E_DISK no room; it is not tried again");
  assert.equal(failed?.holdsUp, false);
});

test("a device shows which way to run the version was chosen, and that it fell back", () => {
  const bench = new Bench([["a", "b"]]);
  bench.settle(0);
  const tried = [
    { variant: "int8", provider: "cpu", threads: 1, p95Ms: 4 },
    { variant: "fp16", provider: "cuda", threads: 1, rejected: { code: "E_PROVIDER", detail: "no GPU" } as const },
  ];
  const trial = {
    ...{ attempt: "r.0", version: "2", atMs: 0, remembered: false, skipped: [], tried },
    chosen: { variant: "int8", provider: "cpu", threads: 1 },
  };
  const fellBack = "runs on cpu, not cuda";
  bench.say("a", { attempt: "started", fellBack }, { trial, candidate: { ...candidate, phase: "probation" } });
  bench.settle(1000);
  const { devices, wave } = bench.explain(1000);
  assert.deepEqual(devices[0]?.trial, trial);
  assert.equal(devices[0]?.fallback, fellBack);
  assert.equal(devices[0]?.phase, "probation");
  assert.match(wave?.gates.find(({ gate }) => gate === "fallback")?.text ?? "", /1 of 1 started run on a slower/);
});

test("no more devices are listed than was asked for, and the rest is counted", () => {
  const names = Array.from({ length: 30 }, (_, at) => `d${at}`);
  const bench = new Bench([names]);
  bench.settle(0);
  const { devices, more, why } = bench.explain(1000);
  assert.deepEqual([devices.length, more], [10, 20]);
  assert.match(why, /waits for 30 devices: .*; and 27 more$/);
});
