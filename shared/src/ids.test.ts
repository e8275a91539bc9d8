import assert from "node:assert/strict";
import { test } from "node:test";
import { DeviceId, Digest, Labels, ModelName, newId, sha256, VersionName } from "./ids.js";

const fits = (schema: { safeParse(value: unknown): { success: boolean } }, value: unknown) =>
  schema.safeParse(value).success;

test("device names are safe in topics, files and URLs", () => {
  for (const good of ["a", "cam-07", "Line_3", "x".repeat(64)]) assert.ok(fits(DeviceId, good), good);
  for (const bad of ["", "x".repeat(65), "a/b", "a+b", "#", "a b", "é", "..", "a\n", "$SYS", 7]) {
    assert.ok(!fits(DeviceId, bad), String(bad));
  }
});

test("model and version names cannot climb out of a folder or begin with a dash", () => {
  for (const good of ["defects", "defects-v2", "a.b_c"]) assert.ok(fits(ModelName, good), good);
  for (const bad of ["", "Defects", "-x", "..", ".hidden", "a/b", "x".repeat(65)])
    assert.ok(!fits(ModelName, bad), bad);
  for (const good of ["1.4.0", "2024-06-01", "1.0.0-rc.1+7", "A"]) assert.ok(fits(VersionName, good), good);
  for (const bad of ["", "..", "-1", "a b", "1/2", "1.0\n"]) assert.ok(!fits(VersionName, bad), bad);
});

test("a digest is 64 lower-case hex digits", () => {
  assert.ok(fits(Digest, sha256("")));
  for (const bad of [sha256("").toUpperCase(), sha256("").slice(1), `${sha256("")}0`])
    assert.ok(!fits(Digest, bad), bad);
  assert.equal(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert.equal(sha256(Buffer.from("abc")), sha256("abc"));
});

test("labels have short plain keys and values", () => {
  assert.ok(fits(Labels, { site: "lyon", "example.org/line": "3", empty: "" }));
  for (const bad of [{ "": "x" }, { "-a": "x" }, { a: "b c" }, { a: "x".repeat(64) }, { ["k".repeat(64)]: "x" }]) {
    assert.ok(!fits(Labels, bad), JSON.stringify(bad));
  }
});

test("ids sort by time and do not repeat", () => {
  const ids = Array.from({ length: 1000 }, (_, second) => newId("r", 1_700_000_000_000 + second * 1000));
  assert.deepEqual([...ids].sort(), ids);
  assert.match(ids[0] ?? "", /^r-[0-9a-f]{16}$/);
  assert.equal(new Set(Array.from({ length: 1000 }, () => newId("r", 0))).size, 1000);
});
