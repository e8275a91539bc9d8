import assert from "node:assert/strict";
import { test } from "node:test";
import { mayReturnTo } from "./thread-rank.js";

const status = (capabilities: string) =>
  `Name:\tnode\nCapPrm:\t000001ffffffffff\nCapEff:\t${capabilities}\nCapBnd:\t0\n`;
const initial = "         0          0 4294967295\n";
const limits = (nice: string) =>
  `Limit                     Soft Limit           Hard Limit           Units     \nMax nice priority         ${nice.padEnd(21)}0                    \n`;

test("a thread returns to its nice value by the capability, or by a limit that reaches as far", () => {
  const [none, all] = ["0000000000000000", "000001fffeffffff"];
  const cases: [string, string, number, boolean][] = [
    [all, "0", 0, true],
    [none, "0", 0, false],
    [none, "20", 0, true],
    [none, "19", 0, false],
    [none, "19", 1, true],
    [none, "40", -20, true],
    [none, "unlimited", -20, true],
    ["0000000000800000", "0", -20, true],
    ["0000000000400000", "0", 0, false],
  ];
  for (const [capabilities, nice, to, may] of cases) {
    const texts = { status: status(capabilities), limits: limits(nice), uid_map: initial };
    assert.equal(mayReturnTo(to, texts), may, `${capabilities} ${nice} ${to}`);
  }
  assert.equal(mayReturnTo(0, { status: "", limits: "", uid_map: "" }), false);
});

test("in a user namespace of its own a process has the capability in name only, and a limit counts as anywhere", () => {
  const maps = ["         0          0          1\n", "0 100000 65536\n", "0 0 1\n1 100000 65536\n", ""];
  for (const uid_map of maps) {
    const all = status("000001ffffffffff");
    assert.equal(mayReturnTo(0, { status: all, limits: limits("0"), uid_map }), false, uid_map);
    assert.equal(mayReturnTo(0, { status: all, limits: limits("20"), uid_map }), true, uid_map);
  }
});
