import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import {
  type BuiltEngine,
  type EngineShare,
  type Envelope,
  engineClass,
  generateSigningKey,
  type HeldEngine,
  openDocument,
  PrebuiltEngine,
  prebuiltEngineType,
  type SharedEngine,
  seal,
} from "@muster/shared";
import { jetson } from "../../testing/engine-rooms.js";
import { manifestOf } from "../../testing/hub-rooms.js";
import { Refusal, startFakeHub } from "../testing/fake-hub.js";
import { nowMs, runCliHere } from "../testing/run-cli.js";
import { sampleDevice } from "../testing/samples.js";

const own = engineClass(jetson) ?? "";
const artifact = manifestOf(1).variants[0]?.artifact.sha256 ?? "";
const files: BuiltEngine["files"] = [{ name: "graph_sm87.engine", sha256: "b".repeat(64), sizeBytes: 48_000_000 }];
const shared: SharedEngine = {
  ...{ id: "e-65aa3c10d2f07b91", artifact, engineClass: own, hardware: jetson, builtBy: "jetson-1", files },
  versions: [{ model: "m", version: "1", variant: "fp32" }],
  ...{ sizeBytes: 48_000_000, signedBy: ["5e".repeat(32)], trusted: true, sharedMs: nowMs - 7_200_000 },
};
const held: HeldEngine = {
  ...{ device: "jetson-2", model: "m", version: "1", variant: "fp32", artifact, files, sizeBytes: 48_000_000 },
};
const base = { id: "s-1", model: "m", version: "1", device: "jetson-1", totalBytes: 48_000_000 };
const fetching = (doneBytes: number): EngineShare => ({ ...base, state: "fetching", doneBytes });
const ended: EngineShare = { ...base, state: "shared", doneBytes: 48_000_000, engine: shared };

/** What the hub prepares for a signature, with changes. */
function prepared(over: Partial<PrebuiltEngine> = {}): EngineShare {
  const index = { sha256: "c".repeat(64), sizeBytes: 36 };
  const engine: PrebuiltEngine = {
    ...{ artifact, engineClass: own, builtBy: "jetson-1", createdMs: 1 },
    files: files.map(({ name, ...blob }) => ({ name, artifact: { ...blob, index } })),
    ...over,
  };
  const payload = Buffer.from(JSON.stringify(engine)).toString("base64");
  return { ...base, state: "prepared", doneBytes: 48_000_000, payloadType: prebuiltEngineType, payload };
}

/** A hub that prepares this, with a device that has reported the engine, and a release key in a file. */
async function signing(t: TestContext, share: EngineShare) {
  const folder = await mkdtemp(join(tmpdir(), "muster-engine-"));
  t.after(() => rm(folder, { recursive: true }));
  const key = generateSigningKey();
  const file = join(folder, "release.key.pem");
  await writeFile(file, key.private.export({ type: "pkcs8", format: "pem" }));
  const signed: Envelope[] = [];
  const asked: unknown[] = [];
  const device = sampleDevice("jetson-1");
  const [model] = device.reported?.models ?? [];
  const reported = { ...device.reported, models: [{ ...model, model: "m", engine: { artifact, files } }] };
  const hub = await startFakeHub(t, {
    "GET /v1/devices/jetson-1": () => ({ ...device, hardware: jetson, reported }),
    "GET /v1/models/m/versions/1/manifest": () => seal("t", Buffer.from(JSON.stringify(manifestOf(1))), [key]),
    "POST /v1/engines": ({ body }) => {
      asked.push(body);
      return share;
    },
    "POST /v1/engines/sign": ({ body }) => {
      signed.push((body as { envelope: Envelope }).envelope);
      return shared;
    },
  });
  const run = (env: Record<string, string> = {}, key = ["--key", file]) =>
    runCliHere(["engine", "share", "m", "1", "--from", "jetson-1", ...key, "--hub", hub.url], { env });
  return { key, file, signed, asked, run };
}

test("what is shared and what devices hold are listed, with what their class is", async (t) => {
  const old = { ...shared, trusted: false };
  const { builtBy: _, ...beyond } = shared;
  const hub = await startFakeHub(t, { "GET /v1/engines": () => ({ shared: [shared, old, beyond], held: [held] }) });
  const { out } = await runCliHere(["engine", "ls", "m", "--hub", hub.url]);
  assert.deepEqual(hub.calls, ["GET /v1/engines?model=m"]);
  const lines = out.split("\n");
  const kind = `${own.slice(0, 12)} (Orin NX, L4T 36.4, ONNX Runtime 1.30.0)`;
  const columns = ["e-65aa3c10d2f07b91", "m", "1", "fp32", kind, "1", "48.0 MB", "jetson-1", "5e5e5e5e5e5e", "2 h ago"];
  assert.deepEqual(lines[2]?.split(/ {2,}/), columns);
  assert.match(lines[3] ?? "", /5e5e5e5e5e5e \(not trusted any more\)/);
  assert.match(lines[4] ?? "", /48\.0 MB {2}- /, "built beyond the scope");
  assert.match(out, /On devices\nDEVICE[^\n]+\njetson-2 {2}m {6}1 {8}fp32 {5}unknown {6}1 {2}48\.0 MB {2}-\n/);
  const json = await runCliHere(["engine", "ls", "--json", "--hub", hub.url]);
  assert.deepEqual(JSON.parse(json.out), { shared: [shared, old, beyond], held: [held] });
});

test("where there is no engine it is said how there come to be some", async (t) => {
  const hub = await startFakeHub(t, { "GET /v1/engines": () => ({ shared: [], held: [] }) });
  const { out } = await runCliHere(["engine", "ls", "--hub", hub.url]);
  assert.match(out, /^No device holds an engine\. TensorRT builds them/);
});

test("a hub with a release key shares by itself; the command waits for it and tells how far it is", async (t) => {
  const hub = await startFakeHub(t, {
    "POST /v1/engines": () => fetching(0),
    "GET /v1/engines/shares/s-1": ({ before }) => (before < 4 ? fetching(before * 12_000_000) : ended),
  });
  const argv = ["engine", "share", "m", "1", "--from", "jetson-1", "--hub", hub.url];
  const { out, err } = await runCliHere(argv);
  assert.deepEqual(err.match(/^\d+ %/gm), ["25 %", "50 %", "75 %"]);
  assert.match(err, /24\.0 MB of 48\.0 MB from jetson-1/);
  assert.match(
    out,
    /^shared e-65aa3c10d2f07b91 from jetson-1: 1 file, 48\.0 MB\nDevices of class [0-9a-f]{12} \(Orin NX/,
  );
  const bar = await runCliHere(argv, { terminal: true });
  assert.match(bar.err, /░ +0 % 0 B of 48\.0 MB from jetson-1/);
  const json = await runCliHere([...argv, "--json"]);
  assert.deepEqual([JSON.parse(json.out), json.err], [shared, ""]);
});

test("why an engine could not be shared is the hub's own error", async (t) => {
  const error = { code: "transfer/stalled", message: "jetson-1 sent nothing of its engine for 40 s" };
  const failed: EngineShare = { ...base, state: "failed", doneBytes: 5, error };
  const hub = await startFakeHub(t, {
    "POST /v1/engines": ({ before }) => (before === 0 ? failed : new Refusal(409, "engine/busy", "later")),
  });
  const run = () => runCliHere(["engine", "share", "m", "1", "--from", "jetson-1", "--hub", hub.url]);
  await assert.rejects(run(), error);
  await assert.rejects(run(), { code: "engine/busy", message: "later" });
  await assert.rejects(runCliHere(["engine", "share", "m", "1", "--from", "a/b", "--hub", hub.url]), {
    code: "usage/invalid",
  });
});

test("Ctrl-C stops the hub, too, and says how to go on; or that the hub may be at it still", async (t) => {
  const stopped = /The hub has stopped fetching; files [^\n]+ a day\. Go on: muster engine share m 1 --from jetson-1/;
  const notStopped = /The hub may go on fetching\. See how far it is: muster engine share m 1 --from jetson-1/;
  for (const [answer, said] of [
    [undefined, stopped],
    [new Refusal(400, "request/invalid", "it had ended before"), notStopped],
  ] as const) {
    const interrupt = new AbortController();
    const hub = await startFakeHub(t, {
      "POST /v1/engines": () => fetching(0),
      "GET /v1/engines/shares/s-1": () => {
        interrupt.abort();
        return fetching(1);
      },
      "DELETE /v1/engines/shares/s-1": () => answer,
    });
    const argv = ["engine", "share", "m", "1", "--from", "jetson-1", "--hub", hub.url];
    const { code, err } = await runCliHere(argv, { interrupt: interrupt.signal });
    assert.equal(code, 130);
    assert.match(err, said);
    assert.equal(hub.calls.at(-1), "DELETE /v1/engines/shares/s-1");
  }
});

test("with a key of one's own the engine is signed here, once it is seen to be what the device reported", async (t) => {
  const { key, file, signed, asked, run } = await signing(t, prepared());
  const { out, err } = await run();
  assert.deepEqual(asked, [{ model: "m", version: "1", device: "jetson-1", draft: true }]);
  assert.match(err, new RegExp(`signing graph_sm87.engine: SHA-256 ${"b".repeat(64)}`));
  assert.match(out, /^shared e-65aa3c10d2f07b91/);
  const trusted = { keys: [key.public], threshold: 1 };
  const { builtBy } = openDocument(PrebuiltEngine, signed[0], prebuiltEngineType, trusted, "engine");
  assert.equal(builtBy, "jetson-1");
  await run({ MUSTER_RELEASE_KEY: await readFile(file, "utf8") }, []);
  assert.equal(signed.length, 2, "the variable holds the key as well");
});

test("whatever a hub prepares that is not this engine is not signed", async (t) => {
  const other = { sha256: "e".repeat(64), sizeBytes: 48_000_000, index: { sha256: "c".repeat(64), sizeBytes: 36 } };
  const changes: [Partial<PrebuiltEngine>, string][] = [
    [{ artifact: "e".repeat(64) }, "artifact"],
    [{ engineClass: "e".repeat(64) }, "engineClass"],
    [{ builtBy: "jetson-9" }, "builtBy"],
    [{ files: [{ name: "graph_sm87.engine", artifact: other }] }, "files"],
    [{ files: [{ name: "another.engine", artifact: { ...other, sha256: "b".repeat(64) } }] }, "files"],
  ];
  for (const [change, field] of changes) {
    const { run, signed } = await signing(t, prepared(change));
    await assert.rejects(run(), (error: { code?: string; problems?: { field: string }[] }) => {
      assert.deepEqual([error.code, error.problems?.map((one) => one.field)], ["signature/invalid", [field]]);
      return true;
    });
    assert.deepEqual(signed, []);
  }
});

test("an engine is taken back by its id", async (t) => {
  const hub = await startFakeHub(t, { "DELETE /v1/engines/e-65aa3c10d2f07b91": () => undefined });
  const { out } = await runCliHere(["engine", "rm", "e-65aa3c10d2f07b91", "--hub", hub.url]);
  assert.equal(out, "e-65aa3c10d2f07b91 is not shared any more\n");
  const json = await runCliHere(["engine", "rm", "e-65aa3c10d2f07b91", "--json", "--hub", hub.url]);
  assert.deepEqual(JSON.parse(json.out), { removed: "e-65aa3c10d2f07b91" });
});
