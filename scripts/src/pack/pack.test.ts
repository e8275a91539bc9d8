import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { agentOnly, type Lock } from "./agent-lock.js";
import { isNeeded } from "./needed.js";
import { platformNames, platformOf } from "./platform.js";

const checkout = fileURLToPath(new URL("../../..", import.meta.url));
const lock = JSON.parse(readFileSync(join(checkout, "package-lock.json"), "utf8")) as Lock;

test("every platform has both native libraries in the locked versions", () => {
  for (const name of platformNames) {
    const { os, cpu } = platformOf(name);
    assert.ok(existsSync(join(checkout, "node_modules/onnxruntime-node/bin/napi-v6", os, cpu)), name);
    assert.ok(lock.packages[`node_modules/@img/sharp-${os}-${cpu}`] !== undefined, name);
  }
});

test("an unknown platform is refused with those there are", () => {
  for (const name of ["linux-mips", "toString"]) {
    assert.throws(() => platformOf(name), { code: "usage/invalid", message: /linux-arm64, linux-x64/ });
  }
});

test("the agent's lock file names the same packages without the hub and without what developers need", () => {
  const dev = { typescript: "7" };
  const entry = { version: "1.0.0", integrity: "sha512-x" };
  const packages = {
    "": { name: "muster", workspaces: ["shared", "agent", "hub"], devDependencies: dev },
    shared: { version: "0.1.0", dependencies: { a: "1" } },
    agent: { version: "0.1.0", dependencies: { b: "1" }, devDependencies: dev },
    "node_modules/a": entry,
  };
  const slim = agentOnly(
    { name: "muster", workspaces: ["hub"], devDependencies: dev },
    { lockfileVersion: 3, packages },
  );
  const workspaces = ["shared", "agent"];
  assert.deepEqual(slim.root, { name: "muster", workspaces });
  assert.equal(slim.lock.lockfileVersion, 3);
  assert.deepEqual(slim.lock.packages[""], { name: "muster", workspaces });
  assert.deepEqual(slim.lock.packages.shared, packages.shared);
  assert.deepEqual(slim.lock.packages.agent, { version: "0.1.0", dependencies: { b: "1" } });
  assert.deepEqual(slim.lock.packages["node_modules/a"], entry);
});

test("a package holds the libraries of its platform alone, and nothing for compilers, debuggers and tests", () => {
  const needed = (path: string) => isNeeded(path, platformOf("linux-arm64"));
  const kept = [
    "onnxruntime-node/bin/napi-v6/linux/arm64/libonnxruntime.so.1",
    "onnxruntime-node/dist/binding.js",
    "@img/sharp-linux-arm64/lib/sharp-linux-arm64.node",
    "@muster/agent/dist/runner/main.js",
    "zod/index.cjs",
    "zod/LICENSE",
  ];
  const left = [
    "onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1",
    "onnxruntime-node/bin/napi-v6/darwin/arm64/libonnxruntime.1.dylib",
    "@types/node/package.json",
    "zod/index.d.cts",
    "zod/src/index.ts",
    "@muster/agent/dist/main.js.map",
    "@muster/agent/dist/transfer.test.js",
    "@muster/agent/dist/runner/testing.js",
    "@muster/shared/dist/testing/index.js",
  ];
  assert.deepEqual(kept.filter(needed), kept);
  assert.deepEqual(left.filter(needed), []);
});
