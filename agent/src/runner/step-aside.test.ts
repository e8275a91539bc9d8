import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { getPriority } from "node:os";
import { basename } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { mayReturnTo } from "../core/thread-rank.js";
import { stepAside } from "./step-aside.js";

const mayReturn =
  process.platform === "linux" &&
  mayReturnTo(getPriority(), {
    status: readFileSync("/proc/self/status", "utf8"),
    limits: readFileSync("/proc/self/limits", "utf8"),
    uid_map: readFileSync("/proc/self/uid_map", "utf8"),
  });

/** The nice values of this thread and of the whole process. */
const ranks = () => ({
  own: getPriority(Number(basename(readlinkSync("/proc/thread-self")))),
  all: readdirSync("/proc/self/task").map((thread) => getPriority(Number(thread))),
});

const refused = (reason: unknown) => assert.fail(String(reason));

test("work is done aside, and afterwards its threads rank as before", { skip: !mayReturn }, async (t) => {
  const before = getPriority();
  const during = await stepAside(async () => {
    // A thread has the rank of the one that starts it.
    const worker = new Worker("setInterval(() => undefined, 1000)", { eval: true });
    t.after(() => worker.terminate());
    await new Promise((resolve) => worker.once("online", resolve));
    return ranks();
  }, refused);
  assert.ok(during.own > before && during.all.filter((nice) => nice > before).length >= 2, JSON.stringify(during));
  assert.deepEqual(new Set(ranks().all), new Set([before]));
});

test("work that fails gives the rank back, too", { skip: !mayReturn }, async () => {
  const before = ranks().own;
  await assert.rejects(
    stepAside(async () => {
      throw new Error("no such model");
    }, refused),
    /no such model/,
  );
  assert.equal(ranks().own, before);
});

const inNamespace = ["--user", "--map-root-user", process.execPath, "--input-type=module", "--eval"];
const namespaces = spawnSync("unshare", [...inNamespace, ""]).status === 0;

test("the root of a user namespace, who could not go back, does not step aside", { skip: !namespaces }, () => {
  const script = `
    import { getPriority } from "node:os";
    import { stepAside } from ${JSON.stringify(new URL("./step-aside.js", import.meta.url).href)};
    for (let at = 0; at < 3; at += 1) await stepAside(async () => undefined, (reason) => { throw reason; });
    console.log(getPriority());
  `;
  assert.equal(Number(execFileSync("unshare", [...inNamespace, script], { encoding: "utf8" })), getPriority());
});
