import assert from "node:assert/strict";
import { test } from "node:test";
import type { Manifest, ManifestVariant } from "@muster/shared";
import { fetchVersion } from "./fetch-version.js";
import { emptyModel } from "./state.js";
import type { StepContext, StepDeps } from "./steps.js";
import type { Progress } from "./watch.js";

const variant = (name: string, sizeBytes: number): ManifestVariant => ({
  ...{ name, precision: "fp32" },
  artifact: { sha256: name, sizeBytes, index: { sha256: `${name}-index`, sizeBytes: 1 } },
});

/** A device with so much room, and what it fetched. */
function bench(freeDiskBytes: number, failing: Readonly<Record<string, Error>> = {}) {
  const fetched: string[] = [];
  const progress: Progress[] = [];
  let free = freeDiskBytes;
  const deps = {
    shelf: { diskBytes: async () => 0 },
    device: { hardware: async () => ({ freeDiskBytes: free }) },
    transfer: {
      fetchArtifact: async (
        { sha256, sizeBytes }: ManifestVariant["artifact"],
        _: AbortSignal,
        onProgress: (of: { doneBytes: number; totalBytes: number }) => void,
      ) => {
        if (failing[sha256] !== undefined) throw failing[sha256];
        onProgress({ doneBytes: sizeBytes, totalBytes: sizeBytes });
        free -= sizeBytes;
        fetched.push(sha256);
      },
      fetchSmall: async ({ sha256 }: { sha256: string }) => void fetched.push(sha256),
    },
  } as unknown as StepDeps;
  const context: StepContext = {
    ...{ model: "m", state: emptyModel, engines: () => [], signal: new AbortController().signal },
    onProgress: (one) => progress.push(one),
  };
  return { deps, context, fetched, progress };
}

const variants = [variant("int8", 100), variant("fp32", 400)];
const manifest = { selfTest: { samples: [{ input: { sha256: "sample", sizeBytes: 1 } }] } } as unknown as Manifest;
const parts = { manifest, variants, hints: undefined };

test("every variant is fetched, then the samples, and the progress is that of all", async () => {
  const { deps, context, fetched, progress } = bench(1000);
  assert.deepEqual(await fetchVersion(deps, parts, context), ["int8", "fp32"]);
  assert.deepEqual(fetched, ["int8", "fp32", "sample"]);
  assert.deepEqual(progress, [
    { doneBytes: 100, totalBytes: 500 },
    { doneBytes: 500, totalBytes: 500 },
  ]);
});

test("a variant beyond the first for which there is no room is left out, whether that shows before or meanwhile", async () => {
  const small = bench(300);
  assert.deepEqual(await fetchVersion(small.deps, parts, small.context), ["int8"]);
  assert.deepEqual(small.fetched, ["int8", "sample"]);
  const full = bench(1000, { fp32: Object.assign(new Error("no space left"), { code: "ENOSPC" }) });
  assert.deepEqual(await fetchVersion(full.deps, parts, full.context), ["int8"]);
});

test("without room for the first, and when a transfer fails, the attempt fails", async () => {
  const none = bench(50);
  await assert.rejects(fetchVersion(none.deps, parts, none.context), /needs 111 more bytes, 50 are free/);
  const broken = bench(1000, { fp32: new Error("refused") });
  await assert.rejects(fetchVersion(broken.deps, parts, broken.context), /refused/);
});
