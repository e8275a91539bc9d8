import assert from "node:assert/strict";
import { test } from "node:test";
import { LinkEstimate } from "./link-estimate.js";

test("the first request on an empty link tells the round trip and the rate apart", () => {
  const link = new LinkEstimate();
  link.sound(1, 3, 0);
  // 100 bytes per millisecond, 60 ms there and back.
  for (const atMs of [70, 80, 90]) link.arrived(1, 1000, atMs);
  assert.ok(Math.abs(link.bytesPerMs - 100) < 1e-9);
  assert.equal(link.roundTripMs, 60);
});

test("what waited in a full link does not count as its round trip", () => {
  const link = new LinkEstimate();
  link.sound(1, 2, 0);
  for (const atMs of [70, 80, 90, 300]) link.arrived(atMs <= 80 ? 1 : 2, 1000, atMs);
  assert.equal(link.roundTripMs, 60);
});

test("a request for one frame sounds nothing, because its time and its rate cannot be told apart", () => {
  const link = new LinkEstimate();
  link.sound(1, 1, 0);
  link.arrived(1, 1000, 70);
  assert.equal(link.roundTripMs, undefined);
  assert.equal(link.bytesPerMs, 0);
});

test("a sounding given up changes nothing", () => {
  const link = new LinkEstimate();
  link.sound(1, 2, 0);
  link.arrived(1, 1000, 70);
  link.giveUp();
  link.arrived(1, 1000, 5000);
  assert.equal(link.roundTripMs, undefined);
});

test("later soundings move the round trip half of the way", () => {
  const link = new LinkEstimate();
  link.sound(1, 2, 0);
  for (const atMs of [70, 80]) link.arrived(1, 1000, atMs);
  link.sound(2, 2, 1000);
  for (const atMs of [1110, 1120]) link.arrived(2, 1000, atMs);
  assert.equal(link.roundTripMs, 80);
});

test("time in which nothing was asked for does not make a link slow", () => {
  const link = new LinkEstimate();
  link.sound(1, 2, 0);
  for (const atMs of [70, 80]) link.arrived(1, 1000, atMs);
  link.sound(2, 2, 60_000);
  for (const atMs of [60_070, 60_080]) link.arrived(2, 1000, atMs);
  assert.ok(Math.abs(link.bytesPerMs - 100) < 1e-9);
});

test("frames that come at the same moment leave numbers that can be reckoned with", () => {
  const link = new LinkEstimate();
  link.sound(1, 4, 0);
  for (const atMs of [70, 70, 70, 70, 80]) link.arrived(1, 1000, atMs);
  for (const value of [link.roundTripMs, link.bytesPerMs, link.soundedBytesPerMs, link.unevenMs]) {
    assert.ok(value !== undefined && Number.isFinite(value), `${value}`);
  }
});

test("an even flow has no unevenness, and one that stalls has", () => {
  const [even, stalling] = [new LinkEstimate(), new LinkEstimate()];
  for (let at = 0; at < 40; at += 1) {
    even.arrived(1, 1000, at * 10);
    stalling.arrived(1, 1000, at * 10 + Math.floor(at / 4) * 60);
  }
  assert.ok(even.unevenMs < 0.001, `${even.unevenMs}`);
  assert.ok(stalling.unevenMs > 5, `${stalling.unevenMs}`);
});
