import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import type { RunnerHost } from "./host.js";
import type { Slot } from "./protocol.js";
import { infer, makeManifest, picture, serve, slotOf, startRunner } from "./testing.js";

const swaps = 100;
/** Requests at once: more than threads, so that some wait while versions change. */
const together = 8;

test("a hundred swaps under load fail no request, and memory does not grow", async (t) => {
  const { host, url } = await startRunner(t);
  const bytes = await picture();
  // One serves, one is kept warm, and the third is loaded anew: every swap loads a version and releases another.
  const versions = ["1.0.0", "2.0.0", "3.0.0"];
  const slots = await Promise.all(versions.map(async (version) => slotOf(await makeManifest([bytes], { version }))));
  const [first] = slots;
  assert.ok(first !== undefined);
  await serve(host, first);
  const ask = async () => {
    const response = await infer(url, bytes);
    const body = (await response.json()) as { model_version: string };
    assert.equal(response.status, 200, JSON.stringify(body));
    return body.model_version;
  };
  const burst = () => Array.from({ length: together }, ask);
  const slotAt = (at: number): Slot => slots[at % slots.length] ?? first;
  const sizes: number[] = [];
  for (let at = 1; at <= swaps; at += 1) {
    const [before, next] = [slotAt(at - 1), slotAt(at)];
    const loading = host.load(next);
    assert.deepEqual(new Set(await Promise.all(burst())), new Set([before.version]), "answered beside the load");
    await loading;
    // When the version changes, some are under way, some wait, and some come just then.
    const early = burst();
    await Promise.race(early);
    const changing = host.activate(next.manifestDigest);
    const answered = await Promise.all([...early, ...burst()]);
    await changing;
    assert.ok(answered.every((version) => version === before.version || version === next.version));
    assert.equal(await ask(), next.version);
    sizes.push(await residentMb(host));
  }
  const { models } = await host.status();
  assert.ok(models.length <= 3, "what was before the version before is released");
  // The first swaps fill what is filled once: heaps, caches, code.
  const [early, late] = [sizes.slice(20, 40), sizes.slice(-20)].map((part) => part.reduce((a, b) => a + b) / 20);
  assert.ok((late ?? 0) < (early ?? 0) * 1.25, `${early} MB after 30 swaps, ${late} MB after ${swaps}: ${sizes}`);
});

test("the version before stays warm, so that going back loads nothing; the one before that is released", async (t) => {
  const { host, url, log } = await startRunner(t);
  const bytes = await picture();
  const slotsOf = ["1.0.0", "2.0.0", "3.0.0"].map(async (version) => slotOf(await makeManifest([bytes], { version })));
  for (const slot of await Promise.all(slotsOf)) await serve(host, slot);
  const loads = () => log.events.filter((event) => event === "runner.version.loaded").length;
  assert.equal(loads(), 3);
  const [, second] = await Promise.all(slotsOf);
  await host.activate(second?.manifestDigest ?? "");
  const { model_version } = (await (await infer(url, bytes)).json()) as { model_version: string };
  assert.equal(model_version, "2.0.0");
  assert.equal(loads(), 3);
});

test("a warm version that memory is too short for is released, and what serves stays", async (t) => {
  const { host, url, log } = await startRunner(t, { memoryMb: 1 });
  const bytes = await picture();
  for (const version of ["1.0.0", "2.0.0"]) await serve(host, slotOf(await makeManifest([bytes], { version })));
  assert.equal((await host.status()).models.length, 2);
  assert.deepEqual((await host.pulse()).capBytes, 1_000_000);
  assert.ok(log.events.includes("runner.version.not-kept-warm"));
  const { models } = await host.status();
  assert.deepEqual(
    models.map(({ version, serving }) => [version, serving]),
    [["2.0.0", true]],
  );
  assert.equal((await infer(url, bytes)).status, 200);
});

async function residentMb({ pid }: RunnerHost): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(text)?.[1]) / 1024;
}
