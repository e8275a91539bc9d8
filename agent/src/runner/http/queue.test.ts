import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { makeManifest, picture, serve, slotOf, startRunner, until } from "../testing.js";

async function served(t: TestContext, maxQueue: number) {
  const { host, url } = await startRunner(t, { workers: 1, maxQueue });
  await serve(host, slotOf(await makeManifest([await picture()])));
  const jpeg = await picture();
  const ask = (headers: Record<string, string> = {}, signal: AbortSignal = new AbortController().signal) =>
    fetch(`${url}/v2/models/label-orientation/infer`, {
      method: "POST",
      headers: { "content-type": "image/jpeg", ...headers },
      body: jpeg,
      signal,
    });
  const metric = async (name: string) => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return Number(new RegExp(`^${name}\\S* (\\d+)$`, "m").exec(text)?.[1]);
  };
  return { host, ask, metric };
}

test("an answer that does not come in time is a 504, and is counted as dropped", async (t) => {
  const { host, ask } = await served(t, 64);
  const others = Array.from({ length: 20 }, () => ask());
  const late = await ask({ "muster-timeout-ms": "1" });
  assert.equal(late.status, 504);
  assert.equal(((await late.json()) as { code: string }).code, "runner/deadline");
  const answered = await Promise.all(others);
  assert.deepEqual(new Set(answered.map(({ status }) => status)), new Set([200]));
  const wrong = await ask({ "muster-timeout-ms": "soon" });
  assert.match(((await wrong.json()) as { error: string }).error, /muster-timeout-ms: must be a time/);
  await until("it is counted", async () => {
    const windows = await host.takeWindows();
    return windows.some(({ dropped }) => dropped === 1);
  });
});

test("what is urgent takes the place of what is not when the queue is full", async (t) => {
  const { ask } = await served(t, 4);
  const low = Array.from({ length: 40 }, () => ask({ "muster-priority": "low" }));
  const high = await Promise.all(Array.from({ length: 2 }, () => ask({ "muster-priority": "high" })));
  assert.deepEqual(
    high.map(({ status }) => status),
    [200, 200],
  );
  const ended = await Promise.all(low);
  const refused = ended.filter(({ status }) => status === 429);
  assert.ok(refused.length > 0 && refused.length < 40, `${refused.length} of 40 were refused`);
  assert.equal(refused[0]?.headers.get("retry-after"), "1");
});

test("the inputs of clients that went away while they waited are not run", async (t) => {
  const { host, ask, metric } = await served(t, 1000);
  const leave = new AbortController();
  const count = 200;
  const leaving = Array.from({ length: count }, () =>
    ask({}, leave.signal).then(
      ({ status }) => status,
      () => "left",
    ),
  );
  await until("many wait", async () => (await metric("muster_queue_length")) > 20);
  leave.abort();
  const left = (await Promise.all(leaving)).filter((end) => end === "left").length;
  assert.ok(left > 20);
  await until("nothing waits any more", async () => (await metric("muster_queue_length")) === 0);
  assert.equal((await ask()).status, 200);
  const [window] = await host.takeWindows();
  const { inputs = 0, errors } = window ?? {};
  assert.ok(inputs > 0 && inputs < count, `${inputs} of ${count} were run`);
  assert.equal(errors, 0);
});

test("an input waits for others as long as its bundle says, and runs with the one that fills the batch", async (t) => {
  const { host, url } = await startRunner(t, { workers: 1 });
  const manifest = await makeManifest([await picture()], { batching: { maxRows: 2, maxDelayMs: 1000 } });
  await serve(host, slotOf(manifest));
  const jpeg = await picture();
  const ask = (headers: Record<string, string>) => {
    const all = { "content-type": "image/jpeg", ...headers };
    return fetch(`${url}/v2/models/label-orientation/infer`, { method: "POST", headers: all, body: jpeg });
  };
  const alone = await ask({ "muster-timeout-ms": "200" });
  assert.equal(alone.status, 504, "it is not run alone before a second is over");
  const two = await Promise.all([ask({}), ask({})]);
  assert.deepEqual(
    two.map(({ status }) => status),
    [200, 200],
  );
});

test("a bundle that asks for more than the device gives gets that, and the log says so", async (t) => {
  const { host, url, log } = await startRunner(t, { workers: 1, batchLimit: { maxRows: 4, maxDelayMs: 0 } });
  const wished = { maxRows: 64, maxDelayMs: 1000 };
  await serve(host, slotOf(await makeManifest([await picture()], { batching: wished })));
  const body = await picture();
  const headers = { "content-type": "image/jpeg" };
  const { status } = await fetch(`${url}/v2/models/label-orientation/infer`, { method: "POST", headers, body });
  assert.equal(status, 200);
  const said = log.lines[log.events.indexOf("runner.version.batching-cut")];
  assert.deepEqual([said?.wished, said?.given], [wished, { maxRows: 4, maxDelayMs: 0 }]);
});
