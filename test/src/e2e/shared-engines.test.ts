import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import {
  type AuditList,
  type EngineList,
  EngineShare,
  engineClass,
  type Hardware,
  type HubStatus,
  type ReportedModel,
  type SharedEngine,
  sha256,
  type VersionView,
  verifyPrebuiltEngine,
} from "@muster/shared";
import { eventually, type HubMachine } from "../fleet/fleet.js";
import { HandDevice } from "../fleet/hand-device.js";
import { model, push, rollOut } from "./line.js";
import { startHub } from "./place.js";

const jetson: Hardware = {
  ...{ platform: "linux", arch: "arm64", board: "Jetson Orin", cpu: "A78AE", cores: 6, memoryBytes: 8e9 },
  ...{ freeDiskBytes: 1e10, providers: ["cpu", "tensorrt"], onnxruntime: { version: "1.30.0", build: "one" } },
  ...{ jetson: { module: "Orin NX", l4t: "36.4" }, gpus: [{ name: "Orin", shared: true }] },
};
const files: Record<string, Buffer> = {
  "graph_1_sm87.engine": randomBytes(3_000_000),
  "timing.cache": randomBytes(700),
};

/** A hub and three devices that are to run a version: two of one class, of which the first has built an engine, and another. */
async function place(t: TestContext) {
  const { hub, folder } = await startHub(t);
  await push(hub, folder, "1.0.0", "fp32");
  const version = await hub.operator.json<VersionView>("model", "show", model, "1.0.0");
  const [builder, other, stranger] = await Promise.all([
    HandDevice.join(hub, folder, "builder", jetson),
    HandDevice.join(hub, folder, "other", jetson),
    HandDevice.join(hub, folder, "stranger", { ...jetson, onnxruntime: { version: "1.30.0", build: "two" } }),
  ]);
  const all = [builder, other, stranger];
  t.after(() => Promise.all(all.map((device) => device.close())));
  await eventually("devices are connected", async () => all.every(({ desired }) => desired !== undefined) || undefined);
  await rollOut(hub, "1.0.0", "--probation", "1h");
  await eventually("all are offered it", async () => all.every(({ desired }) => desired?.models[0]) || undefined);
  const artifact = version.manifest.variants[0]?.artifact.sha256 ?? "";
  await builder.report(committed(version, artifact));
  await eventually("the engine is seen", async () => (await engines(hub)).held[0]);
  builder.onUpload = (command) => builder.upload(command, files[command.file] ?? Buffer.alloc(0));
  return { hub, folder, version, artifact, builder, other, stranger };
}

/** A device that runs the version and has built an engine of its model file. */
function committed({ version, release, manifestDigest, manifest }: VersionView, artifact: string): ReportedModel {
  const [variant] = manifest.variants;
  const runs = { variant: variant?.name ?? "", provider: "tensorrt", threads: 1 };
  const listed = Object.entries(files).map(([name, bytes]) => {
    return { name, sha256: sha256(bytes), sizeBytes: bytes.length };
  });
  return {
    ...{ model, serving: version, committed: { version, release, manifest: manifestDigest, ...runs }, finished: [] },
    engine: { artifact, files: listed },
  };
}

function engines(hub: HubMachine): Promise<EngineList> {
  return hub.operator.json<EngineList>("engine", "ls");
}

function share(hub: HubMachine, ...more: string[]): Promise<SharedEngine> {
  return hub.operator.json<SharedEngine>("engine", "share", model, "1.0.0", "--from", "builder", ...more);
}

test("an engine is fetched from its device, signed, told to its class only, may be fetched there, and is taken back", async (t) => {
  const { hub, artifact, builder, other, stranger } = await place(t);
  const attempt = other.desired?.models[0]?.attempt;
  const { id, builtBy, trusted } = await share(hub);
  assert.deepEqual([builtBy, trusted], ["builder", true]);
  const envelope = await eventually("the other one is told", async () => other.desired?.models[0]?.engines?.[0]);
  const own = engineClass(jetson) ?? "";
  const engine = verifyPrebuiltEngine(envelope, other.root, { artifact, engineClass: own });
  assert.equal(other.desired?.models[0]?.attempt, attempt, "that is no new attempt");
  for (const { name, artifact: blob } of engine.files) {
    const length = Math.min(blob.sizeBytes, 100_000);
    const bytes = await other.fetch(blob.sha256, length);
    assert.ok(bytes instanceof Buffer && bytes.equals(files[name]?.subarray(0, length) ?? Buffer.alloc(0)), name);
    assert.ok((await other.fetch(blob.index.sha256, blob.index.sizeBytes)) instanceof Buffer);
    assert.equal(await stranger.fetch(blob.sha256, length), "denied");
  }
  assert.equal(stranger.desired?.models[0]?.engines, undefined);
  assert.equal(builder.desired?.models[0]?.engines, undefined, "it has it");

  const before = (await hub.operator.json<HubStatus>("status")).storage.artifacts.blobs;
  await hub.operator.json("engine", "rm", id);
  await eventually("the other one is told", async () => other.desired?.models[0]?.engines === undefined || undefined);
  const [first] = engine.files;
  const refused = async () => (await other.fetch(first?.artifact.sha256 ?? "", 100).catch(() => "")) === "superseded";
  await eventually("it is not sent any more", async () => (await refused()) || undefined, 30_000);
  const { storage } = await hub.operator.json<HubStatus>("status");
  assert.equal(storage.artifacts.blobs, before - 2 * engine.files.length, "its bytes are gone");
  const { entries } = await hub.operator.json<AuditList>("audit", "ls");
  const actions = entries.map(({ action }) => action).filter((action) => action.startsWith("engine."));
  assert.deepEqual(actions, ["engine.share", "engine.sign", "engine.remove"]);
});

test("with the release key off the hub, the command signs what the device reported", async (t) => {
  const { hub, folder, artifact, other } = await place(t);
  const keys = join(folder, "keys");
  assert.equal((await hub.operator.run("key", "init", keys)).code, 0);
  const { code, stderr } = await hub.operator.run("engine", "share", model, "1.0.0", "--from", "builder");
  assert.deepEqual([code, stderr.includes("--key FILE")], [1, true]);
  await share(hub, "--key", join(keys, "release.key.pem"));
  const envelope = await eventually("the other one is told", async () => other.desired?.models[0]?.engines?.[0]);
  const own = { artifact, engineClass: engineClass(jetson) ?? "" };
  assert.equal(verifyPrebuiltEngine(envelope, other.root, own).builtBy, "builder");
});

test("a hub that is killed while it fetches is asked again, and has lost nothing but the file it was at", async (t) => {
  const { hub, builder } = await place(t);
  let asked = 0;
  const killed = new Promise<void>((resolve) => {
    builder.onUpload = (command) => {
      asked += 1;
      // The first file has come in three windows.
      if (asked === 4) void hub.program.kill().then(resolve);
      else if (asked < 4) builder.upload(command, files[command.file] ?? Buffer.alloc(0));
    };
  });
  const sharing = hub.operator.run("engine", "share", model, "1.0.0", "--from", "builder");
  await killed;
  await hub.restart();
  const { code, stderr } = await sharing;
  assert.equal(code, 1);
  assert.match(stderr, /the hub was restarted, so share it again \[engine\/unknown\]/);
  const again = new Set<string>();
  builder.onUpload = (command) => {
    again.add(command.file);
    builder.upload(command, files[command.file] ?? Buffer.alloc(0));
  };
  const shared = await eventually("it is shared", async () => share(hub).catch(() => undefined), 30_000);
  assert.deepEqual([shared.files.length, [...again]], [2, ["timing.cache"]]);
});

test("a sharing that is cancelled ends at once, and its device can be asked again", async (t) => {
  const { hub, builder } = await place(t);
  const secret = (await hub.operator.json<{ secret: string }>("token", "create", "admin")).secret;
  const ask = (method: string, path: string, body?: unknown) =>
    fetch(`${hub.apiUrl}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${secret}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const asked = new Promise<void>((resolve) => {
    builder.onUpload = () => resolve();
  });
  const begun = await ask("POST", "/v1/engines", { model, version: "1.0.0", device: "builder" });
  const { id } = EngineShare.parse(await begun.json());
  await asked;
  assert.equal((await ask("DELETE", `/v1/engines/shares/${id}`)).status, 204);
  const ended = EngineShare.parse(await (await ask("GET", `/v1/engines/shares/${id}`)).json());
  assert.equal(ended.state === "failed" && ended.error.code, "engine/cancelled");
  builder.onUpload = (command) => builder.upload(command, files[command.file] ?? Buffer.alloc(0));
  assert.equal((await share(hub)).trusted, true);
});

test("a device that sends other bytes than it reported, or says that it has them no more, gets nothing shared", async (t) => {
  const { hub, builder, other } = await place(t);
  const run = () => hub.operator.run("engine", "share", model, "1.0.0", "--from", "builder");
  builder.onUpload = (command) => builder.upload(command, Buffer.alloc(3_000_000, "other bytes"));
  const lying = await run();
  assert.deepEqual([lying.code, lying.stderr.includes("builder sent other bytes of 'graph_1_sm87.engine'")], [1, true]);
  builder.onUpload = ({ transfer, request }) => {
    void builder.send("upload", Buffer.from(JSON.stringify({ transfer, request, error: "gone" })), 0);
  };
  const gone = await run();
  assert.deepEqual([gone.code, gone.stderr.includes("does not have this engine any more")], [1, true]);
  await builder.close();
  const away = await run();
  assert.deepEqual([away.code, away.stderr.includes("not connected")], [1, true]);
  assert.deepEqual([(await engines(hub)).shared, other.desired?.models[0]?.engines], [[], undefined]);
});
