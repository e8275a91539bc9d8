import assert from "node:assert/strict";
import { test } from "node:test";
import { styleFor } from "./style.js";
import { type Column, fields, table } from "./table.js";
import { ago } from "./time.js";

const output = (isTerminal: boolean) => ({ write: () => {}, isTerminal, columns: 80 });
const plain = styleFor(output(false), {});

interface Row {
  readonly name: string;
  readonly count: number;
  readonly note: string;
}

const columns: readonly Column<Row>[] = [
  { title: "name", value: ({ name }) => ({ text: name, paint: plain.bold }) },
  { title: "count", value: ({ count }) => String(count), right: true },
  { title: "note", value: ({ note }) => note },
];

test("columns are as wide as their widest cell, numbers to the right, nothing after the last", () => {
  const rows = [
    { name: "é", count: 1000, note: "" },
    { name: "longer", count: 2, note: "two\nlines" },
  ];
  assert.deepEqual(table(columns, rows, plain).split("\n"), [
    "NAME    COUNT  NOTE",
    "é        1000",
    "longer      2  two lines",
  ]);
});

test("colours do not change the width, and are there only on a terminal without NO_COLOR", () => {
  const coloured = styleFor(output(true), {});
  assert.equal(coloured.good("x"), "\u001b[32mx\u001b[39m");
  assert.equal(styleFor(output(true), { NO_COLOR: "1" }).good("x"), "x");
  assert.equal(plain.good("x"), "x");
  const cells: Column<Row>[] = [{ title: "a", value: () => ({ text: "b", paint: coloured.good }) }, ...columns];
  const row = { name: "n", count: 1, note: "x" };
  assert.equal(table(cells, [row], plain), "A  NAME  COUNT  NOTE\n\u001b[32mb\u001b[39m  n         1  x");
});

test("fields without a value are left out", () => {
  assert.equal(
    fields(
      [
        ["a", "1"],
        ["long", "2"],
        ["none", undefined],
      ],
      plain,
    ),
    "a     1\nlong  2",
  );
});

test("times are said as a person says them", () => {
  assert.equal(ago(undefined, 0), "never");
  assert.equal(ago(5000, 4000), "just now");
  assert.equal(ago(0, 12_400), "12 s ago");
  assert.equal(ago(0, 7_200_000), "2 h ago");
});
