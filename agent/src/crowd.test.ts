import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { type Manifest, manifestType, seal, sha256 } from "@muster/shared";
import { newSigners } from "@muster/shared/testing";
import { FolderShelf } from "./adapters/folder-shelf.js";
import { Crowd } from "./crowd.js";
import { makeManifest, picture, temporaryFolder } from "./runner/testing.js";
import { type Candidate, emptyModel, type Installed, type ModelState } from "./state.js";

const signers = newSigners();
const machineBytes = 500_000_000;

/** A device that takes two models, and of which each model is what `models` says by then. */
async function device() {
  const shelf = await FolderShelf.open(await temporaryFolder());
  const models: Record<string, ModelState> = {};
  const crowd = new Crowd({ shelf, models: () => models, limits: { maxModels: 2, memoryBytes: undefined } });
  const manifestOf = async (model: string, memoryMb: number): Promise<Manifest> =>
    makeManifest([await picture()], { model, budgets: { memoryMb } });
  const shelved = async (manifest: Manifest) => {
    const envelope = JSON.stringify(seal(manifestType, Buffer.from(JSON.stringify(manifest)), signers.release));
    await writeFile(shelf.path(sha256(envelope)), envelope);
    return { sha256: sha256(envelope), sizeBytes: envelope.length };
  };
  /** The model has a candidate in this phase. */
  const coming = async (model: string, memoryMb: number, phase: Candidate["phase"] = "offered") => {
    const manifest = await shelved(await manifestOf(model, memoryMb));
    const candidate = { attempt: `${model}.0`, version: "1.0.0", manifest, phase } as Candidate;
    models[model] = { ...emptyModel, candidate };
  };
  const ask = async (model: string, memoryMb: number) =>
    crowd.admit(await manifestOf(model, memoryMb), `${model}.0`, machineBytes);
  return { models, coming, ask };
}

test("of models that come at once as many get a place as there are", async () => {
  const { coming, ask, models } = await device();
  const names = ["a", "b", "c", "d"];
  for (const name of names) await coming(name, 10);
  const answers = await Promise.all(names.map((name) => ask(name, 10)));
  assert.equal(answers.filter((why) => why === undefined).length, 2);
  assert.match(answers.at(-1) ?? "", /has 2 other models and takes 2/);
  delete models.a;
  delete models.b;
  assert.equal(await ask("c", 10), undefined, "who is gone leaves its place");
});

test("what a version on its way may take is not given to another", async () => {
  const { coming, ask } = await device();
  await coming("a", 300, "downloading");
  assert.match((await ask("b", 201)) ?? "", /of which a may take 300 MB/);
  assert.equal(await ask("b", 200), undefined);
});

test("a model whose manifest cannot be read has its place all the same", async () => {
  const { models, ask } = await device();
  for (const name of ["a", "b"]) models[name] = { ...emptyModel, committed: { manifest: sha256(name) } as Installed };
  assert.match((await ask("c", 10)) ?? "", /has 2 other models/);
  assert.equal(await ask("a", 10), undefined, "it may be updated");
});
