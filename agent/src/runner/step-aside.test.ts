import assert from "node:assert/strict";
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
  });

/** The nice values of this thread and of the whole process. */
const ranks = () => ({
  own: getPriority(Number(basename(readlinkSync("/proc/thread-self")))),
  all: readdirSync("/proc/self/task").map((thread) => getPriority(Number(thread))),
});

test("work is done aside, and afterwards its threads rank as before", { skip: !mayReturn }, async (t) => {
  const before = getPriority();
  const during = await stepAside(async () => {
    // A thread has the rank of the one that starts it.
    const worker = new Worker("setInterval(() => undefined, 1000)", { eval: true });
    t.after(() => worker.terminate());
    await new Promise((resolve) => worker.once("online", resolve));
    return ranks();
  });
  assert.ok(during.own > before && during.all.filter((nice) => nice > before).length >= 2, JSON.stringify(during));
  assert.deepEqual(new Set(ranks().all), new Set([before]));
});

test("work that fails gives the rank back, too", { skip: !mayReturn }, async () => {
  const before = ranks().own;
  await assert.rejects(
    stepAside(async () => {
      throw new Error("no such model");
    }),
    /no such model/,
  );
  assert.equal(ranks().own, before);
});
