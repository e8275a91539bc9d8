import assert from "node:assert/strict";
import { test } from "node:test";
import { readCsv } from "./csv.js";

test("fields may be quoted, lines end in any way, and the separator is found", () => {
  const { header, rows } = readCsv('\ufeffa,b ,"c, ""d"""\r\n1,"2\n3",4\n\n,,\n', 10);
  assert.deepEqual(header, ["a", "b", 'c, "d"']);
  assert.deepEqual(rows, [
    ["1", "2\n3", "4"],
    ["", "", ""],
  ]);
  assert.deepEqual(readCsv("a;b\n1,5;2", 10).rows, [["1,5", "2"]]);
  assert.deepEqual(readCsv("a\tb\n1\t2", 10).rows, [["1", "2"]]);
  assert.deepEqual(readCsv("a\r1\r2\r", 10).rows, [["1"], ["2"]]);
});

test("what does not fit is told with its row", () => {
  const refused = (text: string, message: RegExp, code = "input/invalid") =>
    assert.throws(() => readCsv(text, 2), { code, message });
  refused("", /first line must hold the names/);
  refused("a,b\n1,2\n3", /row 2 of the CSV has 1 fields, the first line names 2/);
  refused('a,b\n1,"2', /row 1 of the CSV has a quote/);
  refused('a,b\n1,2"3"', /row 1 of the CSV has 3 fields|quote/);
  refused("a\n1\n2\n3", /more than the 2 rows/, "input/too-large");
});

test("one quoted field may be as large as a body", () => {
  const field = 'a""b,\n'.repeat(1_000_000);
  assert.equal(readCsv(`x\n"${field}"`, 10).rows[0]?.[0]?.length, 5_000_000);
});
