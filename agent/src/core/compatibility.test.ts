import assert from "node:assert/strict";
import { test } from "node:test";
import type { Hardware, Manifest } from "@muster/shared";
import { incompatibility } from "./compatibility.js";

const hardware = { arch: "arm64" } as Hardware;
const manifest = (requires: object): Manifest => ({ requires }) as Manifest;

test("a version is for the devices it says, and for agents new enough", () => {
  assert.equal(incompatibility(manifest({}), hardware, "0.1.0"), undefined);
  assert.equal(incompatibility(manifest({ arch: ["x64", "arm64"] }), hardware, "0.1.0"), undefined);
  assert.match(incompatibility(manifest({ arch: ["x64"] }), hardware, "0.1.0") ?? "", /this device is arm64/);
  const needs = (agent: string, own: string) => incompatibility(manifest({ agent }), hardware, own);
  assert.match(needs("0.2.0", "0.1.9") ?? "", /needs agent 0\.2\.0 or newer, this is 0\.1\.9/);
  assert.equal(needs("0.2.0", "0.2.0"), undefined);
  assert.equal(needs("0.9.0", "0.10.0"), undefined);
  assert.equal(needs("0.2.0", "1.0.0-rc.1"), undefined);
});
