import assert from "node:assert/strict";
import { test } from "node:test";
import { readYaml } from "./yaml-text.js";

test("the line of a field is that of its key, or of its entry in a list", () => {
  const yaml = readYaml("a:\n  b:\n    - x: 1\n      y: 2\n    - 3\n# note\nc: {d: 4}\n");
  assert.deepEqual(
    ["a", "a.b", "a.b[0].y", "a.b[1]", "c.d", "a.z", "z", "a.b[9].x"].map((field) => yaml.lineOf(field)),
    [1, 2, 4, 5, 7, undefined, undefined, undefined],
  );
});

test("what is no YAML is a problem, never a throw", () => {
  const bomb = [
    "a: &a [1]",
    ..."bcdef".split("").map((key, at) => `${key}: &${key} [${`*${"abcde"[at]},`.repeat(20)}]`),
  ];
  for (const text of ["a: *x", bomb.join("\n"), "a: 1\na: 2", "? [x]\n: 1", "a: [1", "a:\n\t- b", "---\n1\n---\n2"]) {
    const { value, problems } = readYaml(text);
    assert.equal(value, undefined);
    assert.equal(problems.length > 0, true, text);
  }
});

test("an empty text is null, and lines can be asked for all the same", () => {
  const yaml = readYaml("");
  assert.deepEqual([yaml.value, yaml.problems, yaml.lineOf(""), yaml.lineOf("a.b")], [null, [], undefined, undefined]);
});
