import assert from "node:assert/strict";
import { test } from "node:test";
import type { RolloutList } from "@muster/shared";
import { waves } from "../rollout-options.js";
import { type Asked, Refusal, startFakeHub } from "../testing/fake-hub.js";
import { runCliHere } from "../testing/run-cli.js";
import { sampleExplanation, sampleRollout } from "../testing/samples.js";

const watched = "GET /v1/rollouts/r-1";

/** Answers with one after the other, and then with the last. */
function inTurn(...answers: readonly unknown[]) {
  return ({ before }: Asked) => answers[Math.min(before, answers.length - 1)];
}

test("a watch ends with 0 when the rollout completed, and tells what changed on the way", async (t) => {
  const soaking = sampleRollout("running", "committed");
  soaking.waves[0] = { ...soaking.waves[0], devices: soaking.waves[0]?.devices ?? [], state: "soaking" };
  const hub = await startFakeHub(t, {
    [watched]: inTurn(sampleRollout("running"), sampleRollout("running", "started"), soaking, {
      ...sampleRollout("completed", "committed", "committed", "laggard"),
      reason: "1 unreachable device(s) will be updated when they return",
    }),
  });
  const { code, out, err } = await runCliHere(["rollout", "watch", "r-1", "--hub", hub.url]);
  assert.equal(code, 0);
  assert.deepEqual(out.trimEnd().split("\n"), [
    "rollout r-1: running",
    "wave 1 of 2: running",
    "cam-1: started",
    "wave 1 of 2: soaking",
    "cam-1: committed",
    "rollout r-1: completed, 1 unreachable device(s) will be updated when they return",
    "wave 1 of 2: running",
    "cam-2: committed",
    "cam-3: laggard",
  ]);
  assert.match(err, /^rollout r-1 is completed, 2 of 3 devices committed: 1 unreachable/);
});

for (const state of ["rolled-back", "completed-with-failures"] as const) {
  test(`a watch ends with 3 when the rollout is ${state}, and says why`, async (t) => {
    const ended = { ...sampleRollout(state, "failed"), reason: "wave 1: 1 of 1 devices failed" };
    const hub = await startFakeHub(t, { [watched]: inTurn(sampleRollout("halted", "failed"), ended) });
    const { code, err } = await runCliHere(["rollout", "watch", "r-1", "--hub", hub.url]);
    assert.equal(code, 3);
    assert.match(err, new RegExp(`is ${state}, 0 of 3 devices committed: wave 1: 1 of 1 devices failed`));
  });
}

test("a watch ends with 4 when its time is over, also while the rollout is paused", async (t) => {
  const hub = await startFakeHub(t, { [watched]: () => sampleRollout("paused", "committed") });
  const { code, err } = await runCliHere(["rollout", "watch", "r-1", "--timeout", "30s", "--hub", hub.url]);
  assert.equal(code, 4);
  assert.match(err, /goes on: paused, wave 1 of 2 running · 1 of 3 devices committed/);
  assert.equal(hub.calls.length, 31);
});

test("a rollout that is being rolled back when the time is over has failed", async (t) => {
  const hub = await startFakeHub(t, { [watched]: () => sampleRollout("rolling-back") });
  assert.equal((await runCliHere(["rollout", "watch", "r-1", "--timeout", "5s", "--hub", hub.url])).code, 3);
});

test("Ctrl-C leaves the watch, not the rollout", async (t) => {
  const interrupt = new AbortController();
  const hub = await startFakeHub(t, {
    [watched]: () => {
      interrupt.abort();
      return sampleRollout("running");
    },
  });
  const argv = ["rollout", "watch", "r-1", "--hub", hub.url];
  const { code, err } = await runCliHere(argv, { interrupt: interrupt.signal });
  assert.equal(code, 130);
  assert.match(err, /The rollout goes on/);
});

test("a hub that is away for a while does not end a watch; one that never answered does", async (t) => {
  const away = new Refusal(503, "hub/unreachable", "restarting");
  const hub = await startFakeHub(t, {
    [watched]: inTurn(sampleRollout("running"), away, away, sampleRollout("completed", "committed")),
    "GET /v1/rollouts/r-2": () => away,
  });
  const { code, err } = await runCliHere(["rollout", "watch", "r-1", "--hub", hub.url]);
  assert.equal(code, 0);
  const hung = await startFakeHub(t, { [watched]: inTurn(sampleRollout("running"), away) });
  const late = await runCliHere(["rollout", "watch", "r-1", "--timeout", "9s", "--hub", hung.url]);
  assert.equal(late.code, 4);
  assert.match(err, /restarting Trying again\.\nthe hub answers again\n/);
  await assert.rejects(runCliHere(["rollout", "watch", "r-2", "--hub", hub.url]), { code: "hub/unreachable" });
});

test("on a terminal a watch draws a bar and only important lines", async (t) => {
  const running = sampleRollout("running", "started", "committed");
  const device = running.waves[0]?.devices[0];
  if (device !== undefined) Object.assign(device, { phase: "downloading", doneBytes: 1e6, totalBytes: 4e6 });
  const hub = await startFakeHub(t, { [watched]: inTurn(running, sampleRollout("completed", "committed")) });
  const { out, err } = await runCliHere(["rollout", "watch", "r-1", "--hub", hub.url], { terminal: true });
  assert.match(err, /█+░+ +33 % wave 1 of 2 running · 1 of 3 devices committed · 1\.0 MB of 4\.0 MB/);
  assert.doesNotMatch(out, /cam-1/);
});

test("with --json a watch prints one line for each change", async (t) => {
  const states = [sampleRollout("running"), sampleRollout("running"), sampleRollout("completed", "committed")];
  const hub = await startFakeHub(t, { [watched]: inTurn(...states) });
  const { out } = await runCliHere(["rollout", "watch", "r-1", "--json", "--hub", hub.url]);
  const lines = out.trimEnd().split("\n");
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).state),
    ["running", "completed"],
  );
});

test("a start sends only what was given, and with --watch follows the rollout", async (t) => {
  let asked: unknown;
  const hub = await startFakeHub(t, {
    "POST /v1/rollouts": ({ body }) => {
      asked = body;
      return sampleRollout("running");
    },
    [watched]: inTurn(sampleRollout("running"), sampleRollout("rolled-back", "failed")),
  });
  const flags = [
    "--selector",
    "site=lyon",
    "--waves",
    "1,50%,100%",
    "--soak",
    "10min",
    "--error",
    "0",
    "--timeout",
    "1h",
  ];
  const argv = ["rollout", "start", "defects", "1.1.0", ...flags, "--watch", "--hub", hub.url];
  assert.equal((await runCliHere(argv)).code, 3);
  const settings = {
    waves: [{ devices: 1 }, { percent: 50 }, { percent: 100 }],
    soakMs: 600_000,
    errorPercent: 0,
    inProgressTimeoutMs: 3_600_000,
  };
  assert.deepEqual(asked, { model: "defects", version: "1.1.0", selector: "site=lyon", settings });
});

test("a plan says who gets the version in which wave, and who does not and why", async (t) => {
  const { settings } = sampleRollout("running");
  const skipped = [{ device: "cam-9", reason: "runs it already" }];
  const plan = { model: "defects", version: "1.1.0", waves: [["cam-2"], ["cam-1", "cam-3"]], skipped, settings };
  const hub = await startFakeHub(t, { "POST /v1/rollouts/plan": () => plan });
  const { out } = await runCliHere(["rollout", "plan", "defects", "1.1.0", "--hub", hub.url]);
  assert.match(out, /^defects 1\.1\.0 would go to 3 devices in 2 waves:\n/);
  assert.match(out, /wave 2, 2 devices\n {2}cam-1, cam-3\n/);
  assert.match(out, /cam-9 +runs it already/);
  assert.match(out, /passes +with 95 % committed, after 30 min of soaking/);
});

test("a rollout is shown with its reason, and every device with its error", async (t) => {
  const rollout = { ...sampleRollout("halted", "failed"), reason: "wave 1: cam-1: E_SELFTEST" };
  const device = rollout.waves[0]?.devices[0];
  if (device !== undefined) device.error = { code: "E_SELFTEST", detail: "sample 2 says ok" };
  const hub = await startFakeHub(t, {
    [watched]: () => rollout,
    "GET /v1/rollouts": () => ({ rollouts: [rollout] }),
    "POST /v1/rollouts/r-1/pause": () => new Refusal(409, "rollout/conflict", "it is halted"),
  });
  const { out } = await runCliHere(["rollout", "show", "r-1", "--hub", hub.url]);
  assert.match(out, /state +halted\nreason +wave 1: cam-1: E_SELFTEST\n/);
  assert.match(out, /cam-1 +1 +failed +- +- +0 +E_SELFTEST sample 2 says ok/);
  const list = await runCliHere(["rollout", "ls", "--hub", hub.url]);
  assert.match(list.out, /r-1 +defects 1\.1\.0 +halted +1\/2 +0\/3 +1 +- +1 min ago +wave 1/);
  await assert.rejects(runCliHere(["rollout", "pause", "r-1", "--hub", hub.url]), { code: "rollout/conflict" });
});

test("a long list is asked for page by page, and what is left out is said", async (t) => {
  const all = Array.from({ length: 450 }, (_, at) => ({ ...sampleRollout("completed"), id: `r-${at}` }));
  const hub = await startFakeHub(t, {
    "GET /v1/rollouts": ({ query }) => {
      const from = query.before === undefined ? 0 : all.findIndex(({ id }) => id === query.before) + 1;
      const rollouts = all.slice(from, from + Number(query.limit));
      return { rollouts, ...(from + rollouts.length < all.length ? { next: rollouts.at(-1)?.id } : {}) };
    },
  });
  const listed = async (...flags: string[]) => {
    const { out, err } = await runCliHere(["rollout", "ls", "--hub", hub.url, ...flags]);
    return [out.trimEnd().split("\n").length - 1, err];
  };
  assert.deepEqual(await listed(), [50, "there are older ones: --limit 500\n"]);
  assert.deepEqual(await listed("--limit", "500"), [450, ""]);
  assert.equal(hub.calls.length, 1 + 3);
  const { out } = await runCliHere(["rollout", "ls", "--hub", hub.url, "--limit", "300", "--json"]);
  const { rollouts, next } = JSON.parse(out) as RolloutList;
  assert.deepEqual([rollouts.length, rollouts.at(-1)?.id, next], [300, "r-299", "r-299"]);
});

test("wave sizes are counts or shares", () => {
  assert.deepEqual(waves("5, 12.5%,100%"), [{ devices: 5 }, { percent: 12.5 }, { percent: 100 }]);
  for (const wrong of ["", "0", "1.5", "0%", "101%", "five", "5,,10%", "-1"]) {
    assert.throws(() => waves(wrong), { code: "usage/invalid" }, wrong);
  }
});

test("explain tells the reason, the gates against their limits, what comes next, and each device with its trial", async (t) => {
  let asked: unknown;
  const hub = await startFakeHub(t, {
    "GET /v1/rollouts/r-1/explain": ({ query }) => {
      asked = query;
      return sampleExplanation;
    },
  });
  const { out } = await runCliHere(["rollout", "explain", "r-1", "--device", "cam-1", "--hub", hub.url]);
  assert.deepEqual({ ...(asked as object) }, { device: "cam-1", limit: "20" });
  assert.match(out, /^why +wave 1 of 2 waits for a device: cam-1 tries the version$/m);
  assert.match(out, /^next +cam-1 fails with E_TIMEOUT unless it has finished, in 10 min \(/m);
  assert.match(out, /^ +once its devices have finished, wave 2 of 2 begins$/m);
  assert.match(out, /^wave 1 of 2, 1 device, running, begun 50 s ago$/m);
  assert.match(out, /^ {2}finished +wait +0 of 1 reachable devices have finished$/m);
  assert.match(out, /^cam-1 {2}wave 1, started \(trial\), attempt 2, offline, the wave waits for it$/m);
  assert.match(out, /^ {2}fp16 +cuda +1 +E_PROVIDER no GPU$/m);
  assert.match(out, /^ {2}int8 +cpu +2 +3\.00 +4\.00 +chosen/m);
  assert.match(out, /^and 3 devices more: --limit 4$/m);
  const { out: json } = await runCliHere(["rollout", "explain", "r-1", "--json", "--hub", hub.url]);
  assert.deepEqual(JSON.parse(json), sampleExplanation);
});
