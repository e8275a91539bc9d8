import assert from "node:assert/strict";
import { test } from "node:test";
import { infer, makeManifest, picture, serve, slotOf, startRunner, until } from "./testing.js";

test("versions change under load without one failed request, and only one earlier version stays warm", async (t) => {
  const { host, url, log } = await startRunner(t);
  const jpeg = await picture();
  const slots = await Promise.all(
    ["1.0.0", "1.1.0", "1.2.0"].map(async (version) => slotOf(await makeManifest([jpeg], { version }))),
  );
  const [first, ...later] = slots;
  if (first === undefined) throw new Error("no slot");
  await serve(host, first);
  const versions = new Map<string, number>();
  const failures: unknown[] = [];
  let stop = false;
  const client = async () => {
    while (!stop) {
      const response = await infer(url, jpeg);
      const body = (await response.json()) as { model_version: string };
      if (response.status !== 200) failures.push(body);
      else versions.set(body.model_version, (versions.get(body.model_version) ?? 0) + 1);
    }
  };
  const clients = Array.from({ length: 8 }, client);
  for (const slot of later) {
    await serve(host, slot);
    await until("the new version answers", () => (versions.get(slot.version) ?? 0) > 20);
  }
  await until("the oldest version is freed", () => log.events.includes("runner.version.unloaded"));
  const { models } = await host.status();
  assert.deepEqual(
    models.map(({ version, serving }) => [version, serving]),
    [
      ["1.1.0", false],
      ["1.2.0", true],
    ],
  );
  // Back, by the pointer alone, and the other one away while requests are under way.
  await host.activate(slots[1]?.manifestDigest ?? "");
  await host.unload(slots[2]?.manifestDigest ?? "");
  const before = versions.get("1.1.0") ?? 0;
  await until("the earlier version answers again", () => (versions.get("1.1.0") ?? 0) > before + 20);
  stop = true;
  await Promise.all(clients);
  assert.deepEqual(failures, []);
});

test("beyond the queue requests are refused with 429 and a time to come back, and are counted", async (t) => {
  const { host, url } = await startRunner(t, { workers: 1, maxQueue: 1 });
  const jpeg = await picture();
  await serve(host, slotOf(await makeManifest([jpeg])));
  const responses = await Promise.all(Array.from({ length: 60 }, () => infer(url, jpeg)));
  const refused = responses.filter(({ status }) => status === 429);
  const answered = responses.filter(({ status }) => status === 200);
  assert.equal(refused.length + answered.length, 60);
  assert.ok(refused.length > 0 && answered.length > 0, `${refused.length} refused, ${answered.length} answered`);
  for (const response of refused) {
    assert.equal(response.headers.get("retry-after"), "1");
    assert.equal(((await response.json()) as { code: string }).code, "runner/overloaded");
  }
  const [window] = await host.takeWindows();
  assert.deepEqual([window?.inputs, window?.dropped], [answered.length, refused.length]);
});

test("a window holds what was measured since the one before, per version that worked", async (t) => {
  const { host, url } = await startRunner(t);
  const jpeg = await picture();
  const baseline = { brightness: { kind: "continuous", edges: [0.1, 0.9], counts: [0, 10, 0] } };
  const slot = slotOf(await makeManifest([jpeg], { baseline }));
  await serve(host, slot);
  assert.deepEqual(await host.takeWindows(), []);
  const fromMs = Date.now();
  for (let at = 0; at < 5; at += 1) assert.equal((await infer(url, jpeg)).status, 200);
  const [window, ...others] = await host.takeWindows();
  assert.deepEqual(others, []);
  assert.ok(window !== undefined);
  const { model, version, manifest, provider, inputs, errors, dropped, features, stages } = window;
  assert.deepEqual(
    { model, version, manifest, provider, inputs, errors, dropped, features },
    {
      ...{ model: "label-orientation", version: "1.0.0", manifest: slot.manifestDigest, provider: "cpu" },
      ...{ inputs: 5, errors: 0, dropped: 0, features: { brightness: [0, 5, 0] } },
    },
  );
  assert.equal(
    Object.values(window.classes).reduce((a, b) => a + b, 0),
    5,
  );
  assert.ok(window.endMs >= fromMs && window.startMs <= window.endMs && window.rssBytes > 20_000_000);
  const { pre, queue, run, post, total } = stages;
  for (const sketch of [pre, queue, run, post, total]) assert.equal(sketch?.count, 5);
  const parts = [pre, queue, run, post].reduce((sum, sketch) => sum + (sketch?.sum ?? 0), 0);
  assert.ok(Math.abs(parts - (total?.sum ?? 0)) < 0.5, "the stages add up to the whole");
  assert.deepEqual(await host.takeWindows(), []);
});
