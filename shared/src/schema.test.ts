import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { MusterError } from "./errors.js";
import { parseWith, problemsOf } from "./schema.js";

const Plan = z.strictObject({
  name: z.string(),
  waves: z.array(z.strictObject({ percent: z.number().max(100) })),
});

test("a value that fits comes back with its defaults", () => {
  const schema = z.strictObject({ a: z.number().default(3) });
  assert.deepEqual(parseWith(schema, {}, "config/invalid", "it"), { a: 3 });
});

test("all problems are told at once, with paths as a person writes them", () => {
  const value = { nmae: "x", waves: [{ percent: 5 }, { percent: 500, percnt: 1, soak: 2 }, 7] };
  assert.throws(
    () => parseWith(Plan, value, "request/invalid", "plan"),
    (error) => {
      assert.ok(error instanceof MusterError);
      assert.equal(error.code, "request/invalid");
      assert.deepEqual(error.problems.map(({ field }) => field).sort(), [
        "name",
        "nmae",
        "waves[1].percent",
        "waves[1].percnt",
        "waves[1].soak",
        "waves[2]",
      ]);
      assert.equal(error.problems.find(({ field }) => field === "nmae")?.message, "unknown key; remove it");
      for (const { field } of error.problems) assert.ok(error.message.includes(`  ${field}: `));
      return true;
    },
  );
});

test("a value that is wrong as a whole is told without a path", () => {
  assert.throws(() => parseWith(Plan, 7, "request/invalid", "plan"), /plan does not fit:\n {2}\(whole\): /);
});

test("a value that is missing or of the wrong type is told in words for people", () => {
  const schema = z.strictObject({ name: z.string(), waves: z.array(z.number()), on: z.boolean() });
  const { error } = schema.safeParse({ waves: {}, on: null });
  assert.ok(error !== undefined);
  assert.deepEqual(problemsOf(error), [
    { field: "name", message: "is missing; it has to be a text" },
    { field: "waves", message: "has to be a list, not keys and values" },
    { field: "on", message: "has to be true or false, not nothing" },
  ]);
});
