import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type PushVersion, sha256 } from "@muster/shared";
import { Refusal, startFakeHub } from "../testing/fake-hub.js";
import { runCliHere } from "../testing/run-cli.js";
import { sampleBundle, samplePushed } from "../testing/samples.js";

/** A bundle without a baseline; `model` is the contents of its model file. */
async function bundle(t: TestContext, model: string | Buffer = "model"): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "muster-push-"));
  t.after(() => rm(folder, { recursive: true }));
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "muster.yaml"), sampleBundle.slice(0, sampleBundle.indexOf("baseline:")));
  await writeFile(join(folder, "model.onnx"), model);
  await writeFile(join(folder, "ok.png"), "sample");
  return folder;
}

test("a push sends what the hub does not know and then names every file", async (t) => {
  let pushed: PushVersion | undefined;
  const hub = await startFakeHub(t, {
    "POST /v1/models": ({ body }) => {
      pushed = body as PushVersion;
      return samplePushed(true);
    },
  });
  hub.uploads.set(sha256("sample"), Buffer.from("sample"));
  const { out, err } = await runCliHere(["model", "push", await bundle(t), "--no-self-test", "--hub", hub.url]);
  assert.deepEqual(
    hub.calls.filter((call) => call.startsWith("PUT")),
    [`PUT /v1/uploads/${sha256("model")}`],
  );
  assert.equal(hub.uploads.get(sha256("model"))?.toString(), "model");
  assert.deepEqual(pushed?.files, { "model.onnx": sha256("model"), "ok.png": sha256("sample") });
  assert.equal(pushed?.selfTest, false);
  assert.match(err, /^sent 1 of 2 files to the hub \(5 B\); it had the other 1\n$/);
  assert.match(out, /^pushed defects 1\.0\.0 as release 1: fp32, 1\.4 MB\n/);
});

test("a version that is there already is said to be so", async (t) => {
  const hub = await startFakeHub(t, { "POST /v1/models": () => samplePushed(false) });
  const { out } = await runCliHere(["model", "push", await bundle(t), "--hub", hub.url]);
  assert.match(out, /defects 1\.0\.0 was there already/);
});

test("a large push tells every quarter where there is no terminal, and draws a bar where there is one", async (t) => {
  const hub = await startFakeHub(t, { "POST /v1/models": () => samplePushed(true) });
  const folder = await bundle(t, Buffer.alloc(21_000_000, 7));
  const lines = await runCliHere(["model", "push", folder, "--hub", hub.url]);
  const told = lines.err.match(/^\d+ %/gm) ?? [];
  assert.equal(told.at(-1), "100 %");
  assert.deepEqual(told, [...new Set(told)]);
  hub.uploads.clear();
  const bar = await runCliHere(["model", "push", folder, "--hub", hub.url], { terminal: true });
  assert.match(bar.err, /░ +0 % 0 B of 21\.0 MB at the hub/);
  assert.doesNotMatch(bar.out, /░/);
});

test("the first upload that fails ends the push with the hub's own error", async (t) => {
  const hub = await startFakeHub(t, {
    "POST /v1/models": () => new Refusal(409, "model/exists", "defects 1.0.0 was pushed before with other contents"),
  });
  const refused = runCliHere(["model", "push", await bundle(t), "--hub", hub.url]);
  await assert.rejects(refused, {
    code: "model/exists",
    message: "defects 1.0.0 was pushed before with other contents",
  });
});

test("versions are listed and shown", async (t) => {
  const view = samplePushed(true);
  const hub = await startFakeHub(t, {
    "GET /v1/models": ({ query }) => ({ versions: query.model === "defects" ? [view] : [] }),
    "GET /v1/models/defects/versions/1.0.0%2Bgpu": () => view,
  });
  const list = await runCliHere(["model", "ls", "defects", "--hub", hub.url]);
  assert.match(
    list.out,
    /^MODEL +VERSION +RELEASE +VARIANTS +SIZE +DEVICES +PUSHED\ndefects +1\.0\.0 +1 +fp32 +1\.4 MB +0 +just now\n$/,
  );
  assert.match((await runCliHere(["model", "ls", "--hub", hub.url])).out, /muster model push/);
  const shown = await runCliHere(["model", "show", "defects", "1.0.0+gpu", "--hub", hub.url]);
  assert.match(shown.out, /inputs +x float32 \[n, 3, 8, 8\]/);
  assert.match(shown.out, /budgets +p95 latency 50 ms/);
  assert.match(shown.out, /batching +up to 16 inputs a run, each waits up to 4\.0 ms for others/);
});
