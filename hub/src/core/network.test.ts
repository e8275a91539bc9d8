import assert from "node:assert/strict";
import { test } from "node:test";
import { networkOf } from "./network.js";

test("an IPv4 address is its own network, an IPv6 address counts by its first 64 bits", () => {
  assert.equal(networkOf("10.0.0.7"), "10.0.0.7");
  assert.equal(networkOf("::ffff:10.0.0.7"), "10.0.0.7");
  assert.equal(networkOf("2001:db8:1:2:3:4:5:6"), networkOf("2001:0DB8:1:2::9"));
  assert.notEqual(networkOf("2001:db8:1:2::1"), networkOf("2001:db8:1:3::1"));
  assert.equal(networkOf("2001:db8::1"), "2001:db8:0:0::/64");
  assert.equal(networkOf("::1"), "0:0:0:0::/64");
  assert.equal(networkOf("fe80::1%eth0"), "fe80:0:0:0::/64");
});
