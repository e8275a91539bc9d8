import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";

interface Host {
  os: string;
  cpu: string;
  libc: string;
}
const scripts = fileURLToPath(new URL("..", import.meta.url));
const ready = (await import(join(scripts, "ready.mjs"))) as {
  nodeProblem(version: string): string | undefined;
  installReason(root: string, host?: Host): string | undefined;
  tidyOutput(root: string, workspaces: string[]): void;
  alone<T>(lock: string, work: () => T): T;
};
const host = { os: "linux", cpu: "x64", libc: "glibc" };

function folder(t: TestContext, files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), "muster-ready-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const wanted = {
  "": {},
  hub: {},
  "node_modules/@muster/hub": { link: true, resolved: "hub" },
  "node_modules/a": { version: "1.0.0", integrity: "x" },
  "node_modules/b-win32": { version: "1.0.0", optional: true, os: ["win32"] },
  "node_modules/b-linux-musl": { version: "1.0.0", optional: true, os: ["linux"], libc: ["musl"] },
  "node_modules/b-any": { version: "1.0.0", optional: true },
};

/** A checkout with these packages in the lock file and the given ones installed. */
function checkout(t: TestContext, installed: Record<string, unknown>, packages: object = wanted): string {
  const root = folder(t, {
    "package-lock.json": JSON.stringify({ packages }),
    "node_modules/.package-lock.json": JSON.stringify({ packages: installed }),
    "hub/package.json": "{}",
  });
  for (const path of Object.keys(installed)) mkdirSync(join(root, path), { recursive: true });
  mkdirSync(join(root, "node_modules/@muster"));
  symlinkSync("../../hub", join(root, "node_modules/@muster/hub"));
  return root;
}
const complete = { "node_modules/a": { version: "1.0.0", integrity: "x" } };

test("an old Node is refused with what to do", () => {
  assert.match(ready.nodeProblem("20.18.3") ?? "", /needs Node.js 20\.19 or newer; this is 20\.18\.3/);
  assert.match(ready.nodeProblem("9.0.0") ?? "", /20\.19/);
  assert.deepEqual(["20.19.0", "20.20.2", "22.0.0", "24.1.0"].map(ready.nodeProblem), new Array(4).fill(undefined));
});

test("nothing is installed again while node_modules is what the lock file says", (t) => {
  assert.equal(ready.installReason(checkout(t, complete), host), undefined);
});

test("each way in which node_modules can differ is a reason to install", (t) => {
  const reason = (root: string) => ready.installReason(root, host) ?? "";
  assert.match(
    reason(folder(t, { "package-lock.json": JSON.stringify({ packages: wanted }) })),
    /nothing is installed/,
  );
  assert.match(reason(checkout(t, {})), /a is missing/);
  const other = { version: "0.9.0", integrity: "y" };
  assert.match(reason(checkout(t, { "node_modules/a": other })), /a is 0\.9\.0, the lock file wants 1\.0\.0/);
  assert.match(
    reason(checkout(t, { ...complete, "node_modules/old": { version: "1.0.0" } })),
    /old is no longer wanted/,
  );
  const removed = checkout(t, complete);
  rmSync(join(removed, "node_modules/a"), { recursive: true });
  assert.match(reason(removed), /a is missing/);
  const unlinked = checkout(t, complete);
  rmSync(join(unlinked, "node_modules/@muster/hub"));
  assert.match(reason(unlinked), /workspace @muster\/hub is not linked/);
});

test("an optional package is expected on its own platform only", (t) => {
  const root = checkout(t, complete);
  assert.match(ready.installReason(root, { ...host, libc: "musl" }) ?? "", /b-linux-musl is missing/);
  assert.match(ready.installReason(root, { ...host, os: "win32" }) ?? "", /b-win32 is missing/);
  assert.equal(ready.installReason(root, { ...host, os: "darwin" }), undefined);
});

test("output without a source goes, all else stays, and a gap makes the project compile again", (t) => {
  const root = folder(t, {
    "hub/src/a.ts": "",
    "hub/src/in/b.test.ts": "",
    "hub/dist/a.js": "",
    "hub/dist/a.d.ts": "",
    "hub/dist/in/b.test.js": "",
    "hub/dist/in/b.test.d.ts": "",
    "hub/dist/in/gone.test.js": "",
    "hub/dist/in/gone.test.js.map": "",
    "hub/dist/in/gone.test.d.ts": "",
    "hub/dist/web/page.js": "not compiled by tsc",
    "hub/tsconfig.tsbuildinfo": "{}",
  });
  ready.tidyOutput(root, ["hub", "missing"]);
  const there = ["a.js", "in/b.test.js", "in/gone.test.js", "in/gone.test.js.map", "in/gone.test.d.ts", "web/page.js"];
  assert.deepEqual(
    there.map((path) => existsSync(join(root, "hub/dist", path))),
    [true, true, false, false, false, true],
  );
  assert.ok(existsSync(join(root, "hub/tsconfig.tsbuildinfo")));
  rmSync(join(root, "hub/dist/a.js"));
  ready.tidyOutput(root, ["hub"]);
  assert.ok(!existsSync(join(root, "hub/tsconfig.tsbuildinfo")));
});

test("of many that start at once one works at a time", async (t) => {
  const root = folder(t, {});
  const code = `
    const { alone } = await import(${JSON.stringify(join(scripts, "ready.mjs"))});
    const fs = await import("node:fs");
    alone("lock", () => {
      fs.writeFileSync("inside", "", { flag: "wx" });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
      fs.rmSync("inside");
      fs.appendFileSync("done", "x");
    });`;
  const run = () =>
    new Promise((resolve) => {
      const child = spawn(process.execPath, ["--input-type=module", "-e", code], { cwd: root, stdio: "ignore" });
      child.once("exit", resolve);
    });
  // The lock of a process that has ended: all of them find it stale.
  writeFileSync(join(root, "lock"), String(spawnSync(process.execPath, ["-e", ""]).pid));
  assert.deepEqual(await Promise.all(Array.from({ length: 6 }, run)), new Array(6).fill(0));
  assert.equal(readFileSync(join(root, "done"), "utf8"), "xxxxxx");
  assert.ok(!existsSync(join(root, "lock")));
});

test("the lock is given back when the work throws", (t) => {
  const lock = join(folder(t, {}), "lock");
  assert.throws(() =>
    ready.alone(lock, () => {
      throw new Error("no");
    }),
  );
  assert.equal(
    ready.alone(lock, () => readFileSync(lock, "utf8")),
    String(process.pid),
  );
});

test("the test runner takes filters, passes on the exit code and never passes for nothing", (t) => {
  const passing = 'require("node:test").test("fine", () => {});';
  const failing = 'require("node:test").test("broken", () => { throw new Error("no"); });';
  const root = folder(t, {
    "hub/src/a.ts": "",
    "hub/src/rollout.test.ts": "",
    "hub/dist/rollout.test.js": passing,
    "shared/src/in/broken.test.ts": "",
    "shared/dist/in/broken.test.js": failing,
    "agent/src/late.test.ts": "",
  });
  cpSync(join(scripts, "run-tests.mjs"), join(root, "scripts/run-tests.mjs"), { recursive: true });
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const run = (...args: string[]) => {
    const options = { env, encoding: "utf8" as const };
    const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/run-tests.mjs", ...args], {
      cwd: root,
      ...options,
    });
    return { status, text: stdout + stderr };
  };
  assert.deepEqual(run("nowhere"), { status: 1, text: "No test file with nowhere in its path was found.\n" });
  assert.match(run("agent/src").text, /^Not compiled: agent\/dist\/late\.test\.js/);
  const fine = run("rollout");
  assert.equal(fine.status, 0);
  assert.match(fine.text, /fine[\s\S]*tests 1\b/);
  const broken = run("rollout", "broken");
  assert.equal(broken.status, 1);
  assert.match(broken.text, /tests 2\b[\s\S]*fail 1\b/);
  assert.equal(run().status, 1);
});
