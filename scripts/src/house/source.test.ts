import assert from "node:assert/strict";
import { test } from "node:test";
import { sourceOf } from "./source.js";

const codeOf = (text: string) => sourceOf("a.ts", text).code;

test("comments, strings and regular expressions are blanked, lines and lengths stay", () => {
  const text = 'a(); /* b\n b */ c("d\\"e"); // f\ng(/h"i/u, \'j\');\n';
  const code = codeOf(text);
  assert.equal(code.length, text.length);
  assert.equal(code.replace(/ +/g, " "), "a(); \n c( ); \ng( , );\n");
});

test("code inside a template is code, at any depth", () => {
  const text = "x = `it's ${a({ b: `${c} d` })} e` + f;";
  assert.equal(codeOf(text).replace(/ +/g, " "), "x = a({ b: c })  + f;".replace(/ +/g, " "));
});

test("a division is no regular expression", () => {
  assert.equal(codeOf("a = b / c; d = e / f;"), "a = b / c; d = e / f;");
});

test("every form of import is seen once, with its line", () => {
  const text = [
    'import "side-effect";',
    'import type { A } from "types";',
    'import b, { type C } from "mixed";',
    "import {",
    "  d,",
    '} from "long";',
    'export * from "again";',
    'export type { E } from "again-types";',
    'const f = await import("later");',
    '// import { g } from "comment";',
    'const h = "import(\\"string\\")";',
    'export const from = "no import";',
  ].join("\n");
  assert.deepEqual(
    sourceOf("a.ts", text)
      .imports.map(({ from, line, typeOnly }) => `${line} ${from}${typeOnly ? " type" : ""}`)
      .sort(),
    ["1 side-effect", "2 types type", "3 mixed", "4 long", "7 again", "8 again-types type", "9 later"],
  );
});
