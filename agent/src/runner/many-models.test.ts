import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { dangerousModel } from "../testing/index.js";
import { flatPicture, infer, makeManifest, picture, serve, slotOf, startRunner, until } from "./testing.js";

// The runners of these tests inherit it.
process.env.NODE_OPTIONS = `--import ${dangerousModel.href}`;

const models = ["caps", "labels", "seals", "cartons"] as const;
const limits = { workers: 2, maxQueue: 10, maxQueued: 16 };

/** Four real models in one runner with small limits. */
async function served(t: TestContext, maxWorkers: number) {
  const { host, url } = await startRunner(t, { ...limits, maxWorkers });
  const jpeg = await picture();
  for (const model of models) await serve(host, slotOf(await makeManifest([jpeg], { model })));
  const ask = async (model: string, bytes: Uint8Array = jpeg, type = "image/jpeg") => {
    const response = await infer(url, bytes, type, model);
    const body = (await response.json()) as { model_name?: string; error?: string };
    return { status: response.status, ...body };
  };
  const queued = async (model: string) =>
    (await host.status()).models.find((one) => one.model === model)?.queued ?? Number.NaN;
  return { host, url, ask, queued };
}

test("four models under load stay within the limits of the device, and every input is counted for its own", async (t) => {
  const { host, url, ask } = await served(t, 5);
  const before = (await host.status()).usage;
  assert.deepEqual([before.workers, before.maxWorkers, before.maxQueued], [4, 5, 16]);
  let asking = true;
  const seen = { workers: 0, queued: 0 };
  const watching = (async () => {
    while (asking) {
      const { workers, queued } = (await host.status()).usage;
      seen.workers = Math.max(seen.workers, workers);
      seen.queued = Math.max(seen.queued, queued);
    }
  })();
  // More of one than of the next, so that counts that are mixed up show.
  const asked = models.flatMap((model, at) => Array.from({ length: 20 + 10 * at }, () => ask(model)));
  const answers = await Promise.all(asked);
  asking = false;
  await watching;
  assert.ok(seen.workers <= 5 && seen.queued <= 16, JSON.stringify(seen));
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const metric = (name: string, model: string) =>
    Number(new RegExp(`^${name}\\{model="${model}",version="1.0.0"\\} (\\d+)$`, "m").exec(metrics)?.[1] ?? 0);
  const windows = await host.takeWindows();
  let first = 0;
  for (const [at, model] of models.entries()) {
    const own = answers.slice(first, first + 20 + 10 * at);
    first += own.length;
    const answered = own.filter(({ status }) => status === 200);
    const refused = own.filter(({ status }) => status === 429);
    assert.ok(answered.length >= 4, `${model} has its share: ${answered.length} of ${own.length}`);
    assert.equal(answered.length + refused.length, own.length);
    assert.ok(answered.every(({ model_name }) => model_name === model));
    const window = windows.find((one) => one.model === model);
    const counts = [answered.length, refused.length, 0];
    assert.deepEqual([window?.inputs, window?.dropped, window?.errors], counts, model);
    const names = ["muster_inputs_total", "muster_inputs_dropped_total", "muster_input_errors_total"];
    assert.deepEqual(
      names.map((name) => metric(name, model)),
      counts,
      model,
    );
  }
});

test("a model that hangs fills its own share of the queue, and the others go on answering", async (t) => {
  // One thread each, so that no second one takes what waits.
  const { ask, queued } = await served(t, 4);
  const grey = await flatPicture(128);
  const hanging = Array.from({ length: 12 }, () => ask("caps", grey, "image/png").catch(() => undefined));
  await until("its share is full", async () => (await queued("caps")) >= 4);
  // Until the thread has taken the first of them, there may be a place for one more, which then hangs as well.
  let refused: Awaited<ReturnType<typeof ask>> | undefined;
  await until("another is refused", async () => {
    refused = await Promise.race([ask("caps"), sleep(1000, undefined, { ref: false })]);
    return refused !== undefined;
  });
  assert.deepEqual([refused?.status, /^4 inputs wait for caps/.test(refused?.error ?? "")], [429, true]);
  for (const model of ["labels", "seals", "cartons", "labels"]) assert.equal((await ask(model)).status, 200, model);
  assert.ok((await queued("caps")) >= 4, "it hangs still");
  void Promise.all(hanging);
});
