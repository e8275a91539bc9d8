import assert from "node:assert/strict";
import { test } from "node:test";
import { Admission } from "./admission.js";

const limits = { connectsPerSecondPerAddress: 5, connectionsPerAddress: 8, maxConnections: 12 };

test("an address gets a burst of two seconds' worth, then its rate", () => {
  const admission = new Admission({ ...limits, connectionsPerAddress: 100, maxConnections: 100 });
  const enter = (nowMs: number) => admission.enter("a", nowMs);
  const burst = Array.from({ length: 12 }, () => enter(0));
  assert.deepEqual(burst.slice(0, 11), Array(11).fill(undefined));
  assert.equal(burst[11], "connects-too-fast");
  assert.equal(enter(100), "connects-too-fast");
  assert.equal(enter(200), undefined);
  assert.equal(admission.enter("b", 200), undefined, "another address is not held back");
});

test("connections are counted by address and in total, and given back", () => {
  const admission = new Admission({ ...limits, connectsPerSecondPerAddress: 0 });
  for (let at = 0; at < 8; at += 1) assert.equal(admission.enter("a", 0), undefined);
  assert.equal(admission.enter("a", 0), "connections-per-address");
  for (let at = 0; at < 4; at += 1) assert.equal(admission.enter("b", 0), undefined);
  assert.equal(admission.enter("c", 0), "connections-total");
  admission.leave("a", 0);
  assert.equal(admission.enter("c", 0), undefined);
});

test("no more addresses are remembered than it may, and one with a connection is not forgotten", () => {
  const admission = new Admission({ ...limits, maxConnections: 1000 }, 20);
  assert.equal(admission.enter("kept", 0), undefined);
  for (let at = 0; at < 500; at += 1) {
    admission.enter(`x${at}`, at);
    admission.leave(`x${at}`, at);
  }
  assert.ok(admission.addresses <= 21, `${admission.addresses}`);
  for (let at = 0; at < 7; at += 1) assert.equal(admission.enter("kept", 10_000), undefined);
  assert.equal(admission.enter("kept", 10_000), "connections-per-address");
});
