import assert from "node:assert/strict";
import { test } from "node:test";
import type { Hardware, Manifest } from "@muster/shared";
import { chooseVariant, incompatibility, planProviders } from "./provider-plan.js";

const hardware = { arch: "arm64", cores: 4, memoryBytes: 1_000_000_000 } as Hardware;
const variant = (name: string, sizeBytes: number) => ({ name, artifact: { sizeBytes } });
const manifest = (over: object): Manifest =>
  ({
    variants: [variant("fp32", 600_000_000), variant("int8", 100_000_000)],
    budgets: {},
    requires: {},
    ...over,
  }) as Manifest;

test("a version is for the devices it says, and for agents new enough", () => {
  assert.equal(incompatibility(manifest({}), hardware, "0.1.0"), undefined);
  assert.equal(incompatibility(manifest({ requires: { arch: ["x64", "arm64"] } }), hardware, "0.1.0"), undefined);
  assert.match(
    incompatibility(manifest({ requires: { arch: ["x64"] } }), hardware, "0.1.0") ?? "",
    /this device is arm64/,
  );
  const needs = (agent: string, own: string) => incompatibility(manifest({ requires: { agent } }), hardware, own);
  assert.match(needs("0.2.0", "0.1.9") ?? "", /needs agent 0\.2\.0 or newer, this is 0\.1\.9/);
  assert.equal(needs("0.2.0", "0.2.0"), undefined);
  assert.equal(needs("0.9.0", "0.10.0"), undefined);
  assert.equal(needs("0.2.0", "1.0.0-rc.1"), undefined);
});

test("the first variant that fits memory twice is fetched", () => {
  assert.equal(chooseVariant(manifest({}), hardware)?.name, "int8");
  assert.equal(chooseVariant(manifest({ budgets: { memoryMb: 2000 } }), hardware), undefined);
  assert.equal(chooseVariant(manifest({}), { ...hardware, memoryBytes: 2_000_000_000 })?.name, "fp32");
});

test("one, half and all cores are tried, each once", () => {
  assert.deepEqual(
    planProviders(hardware).map(({ threads }) => threads),
    [1, 2, 4],
  );
  assert.deepEqual(
    planProviders({ ...hardware, cores: 1 }).map(({ threads }) => threads),
    [1],
  );
});
