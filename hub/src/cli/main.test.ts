import assert from "node:assert/strict";
import { createServer } from "node:net";
import { text } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { Refusal, startFakeHub } from "./testing/fake-hub.js";
import { endOf, runMuster, startMuster } from "./testing/run-cli.js";
import { sampleDevice, sampleRollout } from "./testing/samples.js";

/** The address of a port on which nothing listens. */
async function deadAddress(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

function guardedHub(t: TestContext) {
  return startFakeHub(t, {
    "GET /v1/devices": () => new Refusal(401, "request/unauthorized", "the API token is wrong"),
  });
}

test("a hub that is not there is an error with a cure, exit code 1", async () => {
  const hub = await deadAddress();
  const { code, out, err } = await runMuster(["status"], { MUSTER_HUB: hub });
  assert.deepEqual({ code, out }, { code: 1, out: "" });
  assert.match(
    err,
    /^error: no answer from the hub at http:\/\/127\.0\.0\.1:\d+: .*muster hub.*MUSTER_HUB\. \[hub\/unreachable\]\n$/,
  );
});

test("an error with --json is JSON on stderr", async () => {
  const { code, out, err } = await runMuster(["status", "--json", "--hub", await deadAddress()]);
  assert.deepEqual({ code, out }, { code: 1, out: "" });
  assert.equal(JSON.parse(err).error.code, "hub/unreachable");
});

test("a hub that asks for a token says how to give it", async (t) => {
  const { url } = await guardedHub(t);
  const without = await runMuster(["device", "ls", "--hub", url]);
  assert.equal(without.code, 1);
  assert.match(without.err, /asks for a token\..*--token-file.*MUSTER_TOKEN.*\[request\/unauthorized\]/);
  assert.match((await runMuster(["device", "ls", "--hub", url, "--token", "x"])).err, /does not accept this token/);
});

test("typing mistakes get a suggestion and exit code 2", async () => {
  const cases: [string[], RegExp][] = [
    [["rollot"], /Did you mean rollout\?/],
    [["device", "shw"], /Did you mean show\?/],
    [["device", "ls", "--selectr", "a=b"], /Did you mean --selector\?/],
    [["device", "invite", "--valid", "soon"], /30s, 10min, 2h/],
    [["rollout", "start", "defects", "1.0.0", "--waves", "some"], /'some' is no wave.*\[usage\/invalid\]/],
    [["rollout", "start", "Defects", "1.0.0"], /model: must be 1 to 64 of a-z/],
    [["telemetry", "events", "--limit", "5000"], /limit: .*1000/],
    [["drift", "--model", "No"], /model: must be 1 to 64/],
    [["device", "label", "cam-1"], /nothing to change/],
    [["status", "--hub", "ftp://x"], /hub: must be an address.*\[config\/invalid\]/],
  ];
  const runs = await Promise.all(cases.map(([argv]) => runMuster(argv)));
  runs.forEach(({ code, err }, at) => {
    assert.match(err, cases[at]?.[1] ?? /never/);
    assert.equal(code, 2, err);
  });
});

test("help and version end with 0 on stdout", async () => {
  const [help, version, nested] = await Promise.all([
    runMuster(["--help"]),
    runMuster(["--version"]),
    runMuster(["rollout", "start", "--help"]),
  ]);
  assert.deepEqual([help.code, version.code, nested.code], [0, 0, 0]);
  assert.match(help.out, /Examples:\n {2}\$ muster hub\n/);
  assert.match(nested.out, /--waves <sizes>/);
  assert.match(version.out, /^\d+\.\d+\.\d+\n$/);
});

test("a watch of a failed rollout ends the process with 3", async (t) => {
  const hub = await startFakeHub(t, { "GET /v1/rollouts/r-1": () => sampleRollout("rolled-back", "failed") });
  const { code, err } = await runMuster(["rollout", "watch", "r-1", "--hub", hub.url]);
  assert.equal(code, 3);
  assert.match(err, /is rolled-back/);
});

test("a long answer arrives whole, and a reader that leaves early is no error", async (t) => {
  const devices = Array.from({ length: 2000 }, (_, at) => sampleDevice(`cam-${at}`));
  const hub = await startFakeHub(t, { "GET /v1/devices": () => ({ devices }) });
  const argv = ["device", "ls", "--json", "--hub", hub.url];
  const whole = await runMuster(argv);
  assert.equal(whole.code, 0);
  assert.equal(JSON.parse(whole.out).devices.length, 2000);
  const child = startMuster(argv);
  const ended = endOf(child);
  child.stdout.once("data", () => child.stdout.destroy());
  const [code, err] = await Promise.all([ended, text(child.stderr)]);
  assert.deepEqual({ code, err }, { code: 0, err: "" });
});
