import assert from "node:assert/strict";
import { test } from "node:test";
import { RolloutSettings } from "@muster/shared";
import { type Advance, advance, command, type Progress, type RolloutRecord, type Sighting } from "./rollout.js";

const settings = RolloutSettings.parse({ soakMs: 1000, retries: 0, inProgressTimeoutMs: 5000 });
const unseen: Sighting = { online: true, attempt: "unseen", restored: true };

/** A fleet in memory: what each device says, moved by hand. */
class Fleet {
  rollout: RolloutRecord;
  progress: readonly Progress[];
  readonly says = new Map<string, Sighting>();
  readonly orders: string[] = [];

  constructor(waves: string[][], overrides: Partial<RolloutSettings> = {}) {
    this.rollout = {
      state: "running",
      settings: { ...settings, ...overrides },
      waves: waves.map(() => ({ state: "pending" })),
    };
    this.progress = waves.flatMap((wave, at) =>
      wave.map((device): Progress => ({ device, wave: at, state: "waiting", tries: 0 })),
    );
  }

  /** Steps until nothing changes. */
  settle(nowMs: number): void {
    for (let turn = 0; turn < 50; turn += 1) {
      const next: Advance = advance(this.rollout, this.progress, (device) => this.says.get(device) ?? unseen, nowMs);
      this.orders.push(...next.orders.map((order) => `${order.do} ${order.device}`));
      const same = JSON.stringify([next.rollout, next.progress]) === JSON.stringify([this.rollout, this.progress]);
      this.rollout = next.rollout;
      this.progress = next.progress;
      if (same) return;
    }
    assert.fail("the rollout does not come to rest");
  }

  say(device: string, sighting: Partial<Sighting>): void {
    this.says.set(device, { ...unseen, ...sighting });
  }
}

test("a wave begins only when the one before has passed and soaked", () => {
  const fleet = new Fleet([["a"], ["b", "c"]]);
  fleet.settle(0);
  assert.deepEqual(fleet.orders, ["offer a"]);
  fleet.say("a", { attempt: "started", restored: false });
  fleet.settle(100);
  fleet.say("a", { attempt: "committed", restored: false });
  fleet.settle(200);
  assert.equal(fleet.rollout.waves[0]?.state, "soaking");
  fleet.settle(1199);
  assert.deepEqual(fleet.orders, ["offer a"]);
  fleet.settle(1200);
  assert.deepEqual(fleet.orders, ["offer a", "offer b", "offer c"]);
  fleet.say("b", { attempt: "committed" });
  fleet.say("c", { attempt: "committed" });
  fleet.settle(1300);
  fleet.settle(2300);
  assert.equal(fleet.rollout.state, "completed");
});

test("a failed canary halts the rollout, and only devices that were offered it go back", () => {
  const fleet = new Fleet([["a"], ["b"]]);
  fleet.settle(0);
  fleet.say("a", { attempt: "failed", error: { code: "E_SELFTEST", detail: "wrong" }, restored: false });
  fleet.settle(100);
  assert.equal(fleet.rollout.state, "rolling-back");
  assert.match(fleet.rollout.reason ?? "", /wave 1: .*E_SELFTEST wrong/);
  assert.deepEqual(fleet.orders, ["offer a", "withdraw a"]);
  fleet.say("a", { attempt: "failed", restored: true });
  fleet.settle(200);
  assert.equal(fleet.rollout.state, "rolled-back");
});

test("a version that fails while its wave is soaking halts the rollout", () => {
  const fleet = new Fleet([["a"], ["b"]]);
  fleet.settle(0);
  fleet.say("a", { attempt: "committed" });
  fleet.settle(100);
  assert.equal(fleet.rollout.waves[0]?.state, "soaking");
  fleet.say("a", { attempt: "failed", error: { code: "E_CRASH", detail: "crash loop" } });
  fleet.settle(200);
  assert.equal(fleet.rollout.state, "rolled-back");
});

test("a canary that falls back to a slower provider while it is on probation halts the rollout", () => {
  const fleet = new Fleet([["a"], ["b"]]);
  fleet.settle(0);
  fleet.say("a", { attempt: "started", fellBack: "2 was to run on cuda and runs on cpu", restored: false });
  fleet.settle(100);
  assert.equal(fleet.rollout.state, "rolling-back");
  assert.match(fleet.rollout.reason ?? "", /wave 1: 1 of 1 started fell back: .*a: 2 was to run on cuda/);
});

test("an unreachable device does not block its wave and is updated when it returns", () => {
  const fleet = new Fleet([["a", "b"]], { minExecuted: 1 });
  fleet.say("b", { online: false });
  fleet.settle(0);
  fleet.say("a", { attempt: "committed" });
  fleet.settle(100);
  fleet.settle(1100);
  assert.equal(fleet.rollout.state, "completed");
  assert.match(fleet.rollout.reason ?? "", /1 unreachable/);
  fleet.say("b", { attempt: "committed" });
  fleet.settle(5000);
  assert.deepEqual(
    fleet.progress.map(({ state }) => state),
    ["committed", "committed"],
  );
});

test("a device is tried again as often as the settings say, then it has failed", () => {
  const fleet = new Fleet([["a"]], { retries: 2 });
  fleet.settle(0);
  for (const tries of [1, 2]) {
    const failing = advance(fleet.rollout, fleet.progress, () => ({ ...unseen, attempt: "failed" }), 10);
    assert.deepEqual(failing.orders, [{ do: "offer", device: "a", tries }]);
    fleet.progress = failing.progress;
  }
  const last = advance(fleet.rollout, fleet.progress, () => ({ ...unseen, attempt: "failed" }), 20);
  assert.equal(last.progress[0]?.state, "failed");
  assert.equal(last.rollout.state, "halted");
});

test("a device that starts and does not finish in time has failed", () => {
  const fleet = new Fleet([["a"]]);
  fleet.settle(0);
  fleet.say("a", { attempt: "started" });
  fleet.settle(100);
  fleet.settle(5099);
  assert.equal(fleet.rollout.state, "running");
  fleet.settle(5100);
  assert.equal(fleet.progress[0]?.error?.code, "E_TIMEOUT");
  assert.notEqual(fleet.rollout.state, "running");
});

test("a device that never takes its offer up has failed, one that lost its link has not", () => {
  const fleet = new Fleet([["a", "b"]]);
  fleet.settle(0);
  fleet.say("b", { attempt: "started", online: true });
  fleet.settle(100);
  fleet.say("b", { attempt: "started", online: false });
  fleet.settle(5100);
  const states = Object.fromEntries(
    fleet.progress.map(({ device, state, error }) => [device, `${state} ${error?.code ?? ""}`]),
  );
  assert.deepEqual(states, { a: "withdrawn E_TIMEOUT", b: "withdrawn " });
});

test("a device that returns has its full time again", () => {
  const fleet = new Fleet([["a"]]);
  fleet.settle(0);
  fleet.say("a", { online: false });
  fleet.settle(1000);
  fleet.say("a", { online: true });
  fleet.settle(50_000);
  assert.equal(fleet.progress[0]?.state, "offered");
  fleet.settle(54_999);
  assert.equal(fleet.progress[0]?.state, "offered");
  fleet.settle(55_000);
  assert.match(fleet.progress[0]?.error?.detail ?? "", /did not take the offer up/);
});

test("a paused rollout offers nothing new, and still halts on failure", () => {
  const fleet = new Fleet([["a"], ["b"]], { soakMs: 0 });
  fleet.settle(0);
  fleet.rollout = command(fleet.rollout, "pause") ?? assert.fail("cannot pause");
  fleet.say("a", { attempt: "committed" });
  fleet.settle(100);
  assert.deepEqual(fleet.orders, ["offer a"]);
  fleet.rollout = command(fleet.rollout, "resume") ?? assert.fail("cannot resume");
  fleet.settle(200);
  assert.deepEqual(fleet.orders, ["offer a", "offer b"]);
});

test("an ended rollout takes no commands", () => {
  for (const state of ["completed", "completed-with-failures", "rolled-back"] as const) {
    for (const action of ["pause", "resume", "halt"] as const) {
      assert.equal(command({ state, settings, waves: [] }, action), undefined);
    }
  }
});

test("whatever devices say in whatever order, a rollout comes to rest and never offers after a halt", () => {
  let state = 12345;
  const random = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state / 2 ** 32;
  };
  for (let round = 0; round < 300; round += 1) {
    const names = Array.from({ length: 8 }, (_, at) => `d${at}`);
    const fleet = new Fleet([names.slice(0, 1), names.slice(1, 4), names.slice(4)], { retries: 1, soakMs: 50 });
    let nowMs = 0;
    for (let move = 0; move < 60; move += 1) {
      nowMs += 20;
      const device = names[Math.floor(random() * names.length)] ?? "";
      const attempt = (["unseen", "started", "committed", "failed"] as const)[Math.floor(random() * 4)] ?? "unseen";
      fleet.say(device, { attempt, online: random() > 0.2, restored: random() > 0.5 });
      const halted = ["halted", "rolling-back", "rolled-back"].includes(fleet.rollout.state);
      const before = fleet.orders.length;
      fleet.settle(nowMs);
      if (halted) assert.ok(fleet.orders.slice(before).every((order) => order.startsWith("withdraw")));
    }
    const passed = fleet.rollout.waves.map(({ state: wave }) => wave === "passed");
    assert.ok(
      passed.every((wave, at) => at === 0 || !wave || passed[at - 1]),
      "a wave passed before the one in front of it",
    );
  }
});

test("a device whose disk is full is tried again only after a pause, longer each time, and its wave waits for it", () => {
  const fleet = new Fleet([["a", "b"], ["c"]], { retries: 2, inProgressTimeoutMs: 86_400_000 });
  const minute = 60_000;
  const full: Partial<Sighting> = { attempt: "failed", error: { code: "E_DISK", detail: "no room" } };
  fleet.settle(0);
  fleet.say("b", { attempt: "committed" });
  fleet.say("a", full);
  fleet.settle(minute);
  assert.deepEqual([fleet.progress[0]?.state, fleet.progress[0]?.tries], ["waiting", 1]);
  assert.equal(fleet.progress[0]?.error?.code, "E_DISK");
  fleet.say("a", {});
  fleet.settle(6 * minute - 1);
  assert.deepEqual(fleet.orders, ["offer a", "offer b"]);
  fleet.settle(6 * minute);
  assert.deepEqual(fleet.orders, ["offer a", "offer b", "offer a"]);
  fleet.say("a", full);
  fleet.settle(7 * minute);
  fleet.say("a", {});
  fleet.settle(27 * minute - 1);
  assert.equal(fleet.progress[0]?.state, "waiting");
  fleet.settle(27 * minute);
  fleet.say("a", { attempt: "committed" });
  fleet.settle(28 * minute);
  assert.deepEqual([fleet.progress[0]?.state, fleet.progress[0]?.error], ["committed", undefined]);
  assert.equal(fleet.rollout.waves[0]?.state, "soaking");
});

test("a device that waits for room gets its version taken back like any other, and fails when it had its tries", () => {
  const full: Partial<Sighting> = { attempt: "failed", error: { code: "E_DISK", detail: "no room" } };
  const halted = new Fleet([["a", "b"]], { retries: 1 });
  halted.settle(0);
  halted.say("a", full);
  halted.settle(1);
  halted.rollout = command(halted.rollout, "halt") ?? halted.rollout;
  halted.settle(2);
  assert.deepEqual(
    halted.progress.map(({ state }) => state),
    ["withdrawn", "withdrawn"],
  );
  const once = new Fleet([["a"]], { retries: 0 });
  once.settle(0);
  once.say("a", full);
  once.settle(1);
  assert.match(once.rollout.reason ?? "", /E_DISK no room/);
});

test("a wave that all its devices have left is filled from the next one, or passes when there is none", () => {
  const fleet = new Fleet([["a"], ["b", "c"]]);
  fleet.progress = fleet.progress.filter(({ device }) => device !== "a");
  fleet.settle(0);
  assert.deepEqual(fleet.orders, ["offer b"]);
  fleet.say("b", { attempt: "committed" });
  fleet.settle(100);
  fleet.progress = fleet.progress.filter(({ device }) => device !== "c");
  fleet.settle(2000);
  fleet.settle(4000);
  assert.equal(fleet.rollout.state, "completed");
});
