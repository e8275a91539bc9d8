import assert from "node:assert/strict";
import { test } from "node:test";
import { MusterError } from "../errors.js";
import { jsonLog, type LogLevel } from "./json-log.js";

function logged(level: LogLevel | undefined, tell: (log: ReturnType<typeof jsonLog>) => void, fixed = {}) {
  const lines: string[] = [];
  tell(jsonLog((line) => lines.push(line), level, fixed));
  return lines.map((line) => {
    assert.match(line, /^\{.*\}\n$/);
    return JSON.parse(line) as Record<string, unknown>;
  });
}

test("a line is the time, the level, the event, then the fields", () => {
  const [line] = logged("info", (log) => log.info("rollout.started", { rollout: "r-1", waves: 4 }), { part: "hub" });
  const { time, ...rest } = line ?? {};
  assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000);
  assert.deepEqual(rest, { level: "info", event: "rollout.started", part: "hub", rollout: "r-1", waves: 4 });
});

test("a level includes those after it", () => {
  const all = (log: ReturnType<typeof jsonLog>) => {
    log.debug("a.b");
    log.info("a.b");
    log.warn("a.b");
    log.error("a.b");
  };
  const levels = (level?: LogLevel) => logged(level, all).map((line) => line.level);
  assert.deepEqual(levels("debug"), ["debug", "info", "warn", "error"]);
  assert.deepEqual(levels(), ["info", "warn", "error"]);
  assert.deepEqual(levels("error"), ["error"]);
});

test("secrets never reach the log, at any depth and in any case", () => {
  const fields = {
    token: "abc",
    joinToken: "abc",
    PASSWORD: "abc",
    nested: { privateKey: "abc", list: [{ Authorization: "Bearer abc", client_secret: "abc" }] },
    tokens: 3,
    device: "cam-1",
  };
  const [line] = logged("info", (log) => log.info("device.joined", fields));
  assert.ok(!JSON.stringify(line).includes("abc"));
  assert.deepEqual([line?.token, line?.tokens, line?.device], ["[hidden]", 3, "cam-1"]);
});

test("secrets that are no text are hidden too", () => {
  const fields = { token: ["abc"], secrets: { of: "abc" }, password: Buffer.from("abc"), tokensUsed: 7 };
  const [line] = logged("info", (log) => log.info("device.joined", fields));
  const { time: _, ...rest } = line ?? {};
  const hidden = { token: "[hidden]", secrets: "[hidden]", password: "[hidden]" };
  assert.deepEqual(rest, { level: "info", event: "device.joined", ...hidden, tokensUsed: 7 });
});

test("an error tells its code and cause; only one nobody foresaw tells its stack", () => {
  const cause = new Error("EPIPE");
  const [known, unknown] = logged("info", (log) => {
    log.error("a.failed", { error: new MusterError("hub/unreachable", "no answer", { cause }) });
    log.error("a.failed", { error: new TypeError("x is undefined") });
  }).map((line) => line.error as Record<string, unknown>);
  assert.deepEqual(known, { name: "MusterError", code: "hub/unreachable", message: "no answer", cause: "EPIPE" });
  assert.equal(unknown?.message, "x is undefined");
  assert.match(String(unknown?.stack), /json-log\.test/);
});

test("fields that JSON cannot hold do not break the program", () => {
  const round: Record<string, unknown> = { a: 1 };
  round.self = round;
  const lines = logged("info", (log) => {
    log.info("a.b", { size: 10n });
    log.info("a.c", { round });
    log.info("a.d", { none: undefined, call: () => 1, not: Number.NaN });
  });
  assert.deepEqual(
    lines.map((line) => line.event),
    ["a.b", "a.c", "a.d"],
  );
});

test("fields cannot pass for the time, the level or the event", () => {
  const [line] = logged("info", (log) => log.warn("a.b", { level: "debug", event: "x", time: "now", detail: 1 }));
  assert.deepEqual([line?.level, line?.event, line?.detail], ["warn", "a.b", 1]);
});
