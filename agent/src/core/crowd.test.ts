import assert from "node:assert/strict";
import { test } from "node:test";
import { crowdedOut } from "./crowd.js";

const one = (model: string, memoryMb?: number) => ({ model, budgets: memoryMb === undefined ? {} : { memoryMb } });
const limits = { maxModels: 3, memoryBytes: 500_000_000 };

test("a device takes so many models and no more", () => {
  assert.equal(crowdedOut(one("c"), [one("a"), one("b")], limits), undefined);
  const why = crowdedOut(one("d"), [one("a"), one("b"), one("c")], limits);
  assert.match(why ?? "", /has 3 other models and takes 3 \(maxModels\)/);
});

test("what models may take together fits into what the device gives them, as far as it is known", () => {
  const beside = [one("a", 200), one("b")];
  assert.equal(crowdedOut(one("c", 300), beside, limits), undefined);
  const why = crowdedOut(one("c", 301), beside, limits);
  assert.equal(why, "c may take 301 MB; this device gives models 500 MB, of which a may take 200 MB");
  assert.equal(crowdedOut(one("c"), beside, limits), undefined);
  assert.match(crowdedOut(one("c", 501), [], limits) ?? "", /c may take 501 MB; this device gives models 500 MB$/);
});
