import assert from "node:assert/strict";
import { test } from "node:test";
import { crowdedOut } from "./crowd.js";

const one = (model: string, memoryMb?: number) => ({ model, memoryMb });
const limits = { maxModels: 3, memoryBytes: 500_000_000 };

test("a device takes so many models and no more", () => {
  assert.equal(crowdedOut(one("c"), { beside: [one("a"), one("b")] }, limits), undefined);
  const why = crowdedOut(one("d"), { beside: [one("a"), one("b"), one("c")] }, limits);
  assert.match(why ?? "", /has 3 other models and takes 3 \(maxModels\)/);
});

test("what models may take together fits into what the device gives them, as far as it is known", () => {
  const beside = [one("a", 200), one("b")];
  assert.equal(crowdedOut(one("c", 300), { beside }, limits), undefined);
  const why = crowdedOut(one("c", 301), { beside }, limits);
  assert.equal(why, "c may take 301 MB; this device gives models 500 MB, of which a may take 200 MB");
  assert.equal(crowdedOut(one("c"), { beside }, limits), undefined);
  assert.match(
    crowdedOut(one("c", 501), { beside: [] }, limits) ?? "",
    /c may take 501 MB; this device gives models 500 MB$/,
  );
});

test("on a device over its limits a version that may take no more than the one before has its place", () => {
  const beside = [one("a", 300), one("b", 300), one("d")];
  const next = (memoryMb: number | undefined, before: number | undefined) =>
    crowdedOut(one("c", memoryMb), { before: one("c", before), beside }, limits);
  for (const memoryMb of [90, 100, undefined]) assert.equal(next(memoryMb, 100), undefined);
  assert.match(next(101, 100) ?? "", /c may take 101 MB/);
  assert.match(next(100, undefined) ?? "", /c may take 100 MB/, "what the one before takes is not known");
});
