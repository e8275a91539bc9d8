import assert from "node:assert/strict";
import { test } from "node:test";
import type { Hardware, Manifest } from "@muster/shared";
import { planVariants, type VariantBudget } from "./variant-plan.js";

const gateway = { memoryBytes: 8_000_000_000, features: ["avx2"] } as Hardware;
const vnni = { ...gateway, features: ["avx512_vnni"] };
const jetson = { ...gateway, gpus: [{ name: "NVIDIA GPU", shared: true }] };
const budget: VariantBudget = { maxVariants: 3, maxArtifactBytes: 1e9, diskBytes: 1e12, dataBytes: undefined };
const variant = (precision: string, sizeBytes: number) => ({ name: precision, precision, artifact: { sizeBytes } });
const manifest = (over: object = {}): Manifest =>
  ({
    variants: [
      variant("fp32", 400_000_000),
      variant("fp16", 200_000_000),
      variant("int8-weights", 110_000_000),
      variant("int8-qdq", 100_000_000),
    ],
    budgets: {},
    ...over,
  }) as Manifest;
const names = (hardware: Hardware, over: Partial<VariantBudget> = {}, of = manifest()) =>
  planVariants(of, hardware, { ...budget, ...over }).variants.map(({ name }) => name);

test("the order of variants is that of their promise on this hardware", () => {
  assert.deepEqual(names(gateway), ["fp32", "int8-qdq", "int8-weights"]);
  assert.deepEqual(names(vnni), ["int8-qdq", "fp32", "int8-weights"]);
  assert.deepEqual(names(jetson), ["fp16", "int8-qdq", "fp32"]);
});

test("variants of one precision keep the author's order", () => {
  const twins = manifest({
    variants: [variant("fp32", 2), variant("fp32", 1)].map((v, at) => ({ ...v, name: `${at}` })),
  });
  assert.deepEqual(names(gateway, {}, twins), ["0", "1"]);
});

test("fp16 is tried on a processor only when it can compute it, or when there is nothing else", () => {
  assert.ok(!names(gateway, { maxVariants: 9 }).includes("fp16"));
  assert.ok(names({ ...gateway, features: ["fp16"] }, { maxVariants: 9 }).includes("fp16"));
  assert.deepEqual(names(gateway, {}, manifest({ variants: [variant("fp16", 1)] })), ["fp16"]);
});

test("a variant that does not fit memory twice is left out, and none is left when none fits", () => {
  const small = { ...gateway, memoryBytes: 300_000_000 };
  assert.deepEqual(names(small), ["int8-qdq", "int8-weights"]);
  const { variants, skipped } = planVariants(manifest({ budgets: { memoryMb: 2000 } }), small, budget);
  assert.equal(variants.length, 0);
  assert.equal(skipped.length, 4);
  assert.match(skipped[0]?.reason ?? "", /it needs 2.* of memory, this device has 300/);
});

test("more variants than one are fetched only within the budgets of disk, data and number", () => {
  assert.deepEqual(names(gateway, { maxVariants: 1 }), ["fp32"]);
  assert.deepEqual(names(gateway, { diskBytes: 600_000_000 }), ["fp32", "int8-qdq"]);
  assert.deepEqual(names(gateway, { dataBytes: 505_000_000 }), ["fp32", "int8-qdq"]);
  assert.deepEqual(names(vnni, { maxArtifactBytes: 150_000_000 }), ["int8-qdq", "int8-weights"]);
  assert.deepEqual(names(gateway, { diskBytes: 1, dataBytes: 1 }), ["fp32"], "the first is always asked for");
  const { skipped } = planVariants(manifest(), gateway, { ...budget, maxVariants: 1 });
  assert.match(skipped.map(({ reason }) => reason).join("; "), /maxVariantsTried/);
});
