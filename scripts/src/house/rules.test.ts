import assert from "node:assert/strict";
import { test } from "node:test";
import { violations } from "./rules.js";
import { sourceOf } from "./source.js";

/** `line rule` of everything found in the given files. */
function found(files: Record<string, string>): string[] {
  const sources = Object.entries(files).map(([path, text]) => sourceOf(path, text));
  return violations(sources).map(({ path, line, rule }) => `${path}:${line}: ${rule}`);
}

test("a room may not import an adapter, its composition root and its tests may", () => {
  const text = 'import { Link } from "./adapters/mqtt-link.js";\n';
  assert.deepEqual(found({ "agent/src/uplink.ts": text }), ["agent/src/uplink.ts:1: adapters-in-roots"]);
  assert.deepEqual(found({ "hub/src/http/a.ts": 'await import("../adapters/x.js");\n' }), [
    "hub/src/http/a.ts:1: adapters-in-roots",
  ]);
  for (const path of ["agent/src/agent.ts", "agent/src/main.ts", "hub/src/hub.ts", "agent/src/uplink.test.ts"]) {
    assert.deepEqual(found({ [path]: text }), []);
  }
  assert.deepEqual(found({ "agent/src/runner/main.ts": 'import { x } from "../adapters/x.js";\n' }), []);
});

test("core is free of promises, clocks, randomness and the process", () => {
  const lines = [
    "export async function a() {}",
    "const b = () => Promise.resolve();",
    "const c = Date.now();",
    "const d = Math.random();",
    "const e = process.pid;",
    "const f = new Date();",
    "const g = performance.now();",
    "const h = `at ${Date.now()}`;",
  ];
  const path = "hub/src/core/gate.ts";
  assert.deepEqual(
    found({ [path]: lines.join("\n") }),
    lines.map((_, at) => `${path}:${at + 1}: pure-core`),
  );
  assert.deepEqual(found({ "hub/src/gate.ts": lines.join("\n"), "hub/src/core/gate.test.ts": lines.join("\n") }), []);
});

test("core may speak of promises and processes, and turn a given time into text", () => {
  const text = [
    "/** Never async; Date.now() is for others. */",
    "// await process.exit",
    'const a = "Math.random";',
    "const b = `a Promise of ${new Date(nowMs).toISOString()} process.`;",
    "const c = /process.env/.test(a);",
    "const promised = { processed: 1 };",
  ];
  assert.deepEqual(found({ "agent/src/core/a.ts": text.join("\n") }), []);
});

test("core takes only types from outside of core", () => {
  const path = "agent/src/core/next-step.ts";
  assert.deepEqual(found({ [path]: 'import type { State } from "../state.js";\nimport { a } from "./b.js";\n' }), []);
  assert.deepEqual(found({ [path]: 'import { load } from "../state.js";\n' }), [`${path}:1: pure-core`]);
  assert.deepEqual(found({ "hub/src/core/a/b.ts": 'import { c } from "../c.js";\n' }), []);
});

test("no state at the top of a module", () => {
  const text =
    "let a = 1;\nexport let b = 2;\nvar c = 3;\nconst d = new Map<string, number>();\nconst e: X = new Set();\n";
  assert.deepEqual(
    found({ "hub/src/a.ts": text }),
    [1, 2, 3, 4, 5].map((line) => `hub/src/a.ts:${line}: module-state`),
  );
  const fine =
    "const a = new Set([1, 2]);\nfunction f() {\n  let b = 1;\n  const c = new Map();\n}\n// let d\nconst t = `\nlet x`;\n";
  assert.deepEqual(found({ "hub/src/a.ts": fine, "hub/src/b.test.ts": text }), []);
});

test("a file's name says what is inside", () => {
  for (const name of ["utils", "string-util", "helpers", "manager", "rollout-manager", "handler", "common", "misc"]) {
    assert.deepEqual(found({ [`hub/src/${name}.ts`]: "" }), [`hub/src/${name}.ts:1: file-name`]);
  }
  assert.deepEqual(found({ "hub/src/common/rollout.ts": "" }), ["hub/src/common/rollout.ts:1: file-name"]);
  assert.deepEqual(found({ "hub/src/commons-ground.ts": "", "hub/src/manages.ts": "" }), []);
});

test("each library is imported by one file of a package", () => {
  const both = {
    "hub/src/a.ts": 'import { Aedes } from "aedes";\nimport { z } from "zod";\n',
    "hub/src/b.ts": 'import { z } from "zod";\nimport {\n  Aedes,\n} from "aedes/lib/x.js";\n',
  };
  assert.deepEqual(found(both), ["hub/src/b.ts:2: one-file-per-library"]);
  assert.deepEqual(found({ ...both, "hub/src/b.ts": 'import type { Client } from "aedes";\n' }), []);
  assert.deepEqual(found({ ...both, "hub/src/b.ts": 'import "node:fs";\nimport { a } from "@muster/shared";\n' }), []);
  assert.deepEqual(found({ "hub/src/a.ts": both["hub/src/a.ts"], "agent/src/b.ts": both["hub/src/b.ts"] }), []);
  assert.deepEqual(found({ "test/src/a.ts": both["hub/src/a.ts"], "test/src/b.ts": both["hub/src/b.ts"] }), []);
  const fake = { "hub/src/a.ts": both["hub/src/a.ts"], "hub/src/cli/testing/b.ts": both["hub/src/b.ts"] };
  assert.deepEqual(found(fake), []);
  const scoped = { "hub/src/a.ts": 'import "@fastify/swagger";\n', "hub/src/b.ts": 'import "@fastify/static";\n' };
  assert.deepEqual(found(scoped), []);
});
