import assert from "node:assert/strict";
import { test } from "node:test";
import type { Manifest } from "@muster/shared";
import { enginesOf, maxEnginesTold } from "./engine-match.js";

const variants = (artifacts: object[]) => ({ variants: artifacts.map((artifact) => ({ artifact })) }) as Manifest;
const engine = (artifact: string) => ({ engine: { artifact } });

test("engines of a version are those of its plain model files, in the order of its variants", () => {
  const manifest = variants([{ sha256: "b" }, { sha256: "a" }, { sha256: "c", encryption: {} }]);
  const engines = ["a", "b", "c", "d"].map(engine);
  assert.deepEqual(enginesOf(manifest, engines), [engine("b"), engine("a")]);
  assert.deepEqual(enginesOf(manifest, []), []);
});

test("no more of them go with a version than its document may name", () => {
  const names = Array.from({ length: maxEnginesTold + 4 }, (_, at) => `${at}`);
  const told = enginesOf(variants(names.map((sha256) => ({ sha256 }))), names.map(engine));
  assert.equal(told.length, maxEnginesTold);
});
