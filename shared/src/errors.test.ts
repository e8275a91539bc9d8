import assert from "node:assert/strict";
import { test } from "node:test";
import { asMusterError, errorCodes, invalid, MusterError, messageOf } from "./errors.js";

test("every code is area/what and says what it means", () => {
  for (const [code, { means }] of Object.entries(errorCodes)) {
    assert.match(code, /^[a-z]+\/[a-z-]+$|^internal$/);
    assert.ok(means.length > 10, code);
  }
});

test("an error knows from its code whether trying again makes sense", () => {
  assert.equal(new MusterError("hub/unreachable", "no answer").retryable, true);
  assert.equal(new MusterError("bundle/invalid", "bad").retryable, false);
});

test("an error about an input lists every problem with its field", () => {
  const error = invalid("config/invalid", "muster.yaml", [
    { field: "a.b", message: "is missing" },
    { field: "", message: "is empty" },
  ]);
  assert.equal(error.message, "muster.yaml does not fit:\n  a.b: is missing\n  (whole): is empty");
  assert.equal(error.problems.length, 2);
});

test("what is not ours becomes internal and keeps its cause; what is ours stays itself", () => {
  const cause = new TypeError("x is not a function");
  const wrapped = asMusterError(cause);
  assert.equal(wrapped.code, "internal");
  assert.equal(wrapped.message, cause.message);
  assert.equal(wrapped.cause, cause);
  assert.equal(asMusterError(wrapped), wrapped);
});

test("anything that was thrown has a text", () => {
  assert.deepEqual([new Error("a"), "b", 3, undefined].map(messageOf), ["a", "b", "3", "undefined"]);
});
