import assert from "node:assert/strict";
import { test } from "node:test";
import {
  generateSigningKey,
  Manifest,
  manifestType,
  type PrebuiltEngine,
  prebuiltEngineType,
  seal,
  sha256,
} from "@muster/shared";
import { dropUnneeded, keepNeeded, neededBlobs, offered, variantsOf } from "./installed.js";
import type { BlobShelf } from "./ports.js";
import { makeManifest, picture } from "./runner/testing.js";
import { Candidate, emptyModel, type Installed, initialState, type ModelState } from "./state.js";

const digest = (letter: string) => letter.repeat(64);
const blob = (letter: string) => ({ sha256: digest(letter), sizeBytes: 1 });
const variant = (name: string, letter: string, index: string) => ({
  ...{ name, precision: "fp32" as const },
  artifact: { ...blob(letter), index: blob(index) },
});

/** A shelf that holds one signed manifest of two variants. */
async function shelfOf(): Promise<{ shelf: BlobShelf; name: string; manifest: Manifest; sample: string }> {
  const one = await makeManifest([await picture(1)]);
  const manifest = Manifest.parse({
    ...one,
    variants: [variant("int8", "a", "b"), variant("fp32", "c", "d")],
    files: [{ path: "labels.txt", ...blob("e") }],
  });
  const envelope = seal(manifestType, Buffer.from(JSON.stringify(manifest)), [generateSigningKey()]);
  const bytes = Buffer.from(JSON.stringify(envelope));
  const name = sha256(bytes);
  const shelf = { has: async (asked: string) => asked === name, read: async () => bytes } as unknown as BlobShelf;
  return { shelf, name, manifest, sample: manifest.selfTest.samples[0]?.input.sha256 ?? "" };
}

const candidateOf = (manifest: string, over: Partial<Candidate>): Candidate => ({
  ...{ attempt: "r.0", version: "1", manifest: { sha256: manifest, sizeBytes: 1 }, probationMs: 1 },
  ...{ phase: "downloading", phaseSinceMs: 0, trialStarts: 0 },
  ...over,
});

test("of a committed version only the variant in service stays, of a candidate those that are tried", async () => {
  const { shelf, name, sample } = await shelfOf();
  const installed: Installed = {
    ...{ attempt: "r.0", version: "1", release: 1, manifest: name },
    ...{ variant: "fp32", artifact: digest("c"), provider: "cpu", threads: 1 },
  };
  const needed = async (state: Partial<ModelState>) =>
    [...(await neededBlobs({ releaseFloor: 0, finished: [], ...state }, shelf))].sort();
  const always = [name, sample, digest("e")];
  assert.deepEqual(await needed({ committed: installed }), [...always, digest("c"), digest("d")].sort());
  const all = ["a", "b", "c", "d"].map(digest);
  assert.deepEqual(
    await needed({ candidate: candidateOf(name, { variants: ["int8", "fp32"] }) }),
    [...always, ...all].sort(),
  );
  assert.deepEqual(await needed({ candidate: candidateOf(name, { phase: "offered" }) }), [...always, ...all].sort());
  const proven = candidateOf(name, { phase: "proven", variants: ["int8"], variant: "int8" });
  assert.deepEqual(await needed({ candidate: proven }), [...always, digest("a"), digest("b")].sort());
});

test("of blobs that may go, those stay that whatever model needs", async () => {
  const { shelf, name } = await shelfOf();
  const removed: string[] = [];
  const remove = async (digest: string) => void removed.push(digest);
  const committed: Installed = {
    ...{ attempt: "r.0", version: "1", release: 1, manifest: name },
    ...{ variant: "fp32", artifact: digest("c"), provider: "cpu", threads: 1 },
  };
  const models = { other: emptyModel, m: { ...emptyModel, committed } };
  const may = [name, digest("a"), digest("c"), digest("d"), digest("f")];
  await dropUnneeded({ ...initialState, models }, may, { ...shelf, remove } as BlobShelf);
  assert.deepEqual(removed, [digest("a"), digest("f")]);
});

test("the blobs of engines that are offered stay while there is a candidate", async () => {
  const { shelf, name } = await shelfOf();
  const engine: PrebuiltEngine = {
    ...{ artifact: digest("a"), engineClass: digest("d"), builtBy: "jetson-1", createdMs: 0 },
    files: [{ name: "graph.engine", artifact: { ...blob("f"), index: blob("1") } }],
  };
  const engines = [seal(prebuiltEngineType, Buffer.from(JSON.stringify(engine)), [generateSigningKey()])];
  const wanted = { model: "m", version: "1", attempt: "r.0", manifest: { sha256: name, sizeBytes: 1 }, probationMs: 1 };
  const desired = { device: "d", revision: 1, issuedMs: 0, expiresMs: 1, models: [{ ...wanted, engines }] };
  const kept = async (state: Partial<ModelState>) => {
    const needed: string[] = [];
    const keepOnly = async (digests: ReadonlySet<string>) => void needed.push(...digests);
    const models = { m: { ...emptyModel, ...state } };
    await keepNeeded({ ...initialState, desired, models }, { ...shelf, keepOnly } as BlobShelf);
    return needed;
  };
  const blobs = [name, digest("a"), digest("f"), digest("1")];
  const needed = await kept({ candidate: offered(wanted, 0) });
  assert.deepEqual(
    blobs.filter((one) => needed.includes(one)),
    blobs,
  );
  assert.deepEqual(await kept({}), []);
});

test("a candidate that an older agent wrote, with the one variant it had chosen, goes on with that", async () => {
  const { manifest, name } = await shelfOf();
  const old = Candidate.parse({
    ...candidateOf(name, { phase: "verified" }),
    ...{ release: 1, variant: "fp32", artifact: digest("c"), artifactBytes: 1 },
  });
  assert.deepEqual(
    variantsOf(manifest, old).map((one) => one.name),
    ["fp32"],
  );
});
