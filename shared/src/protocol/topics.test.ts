import assert from "node:assert/strict";
import { test } from "node:test";
import {
  downKinds,
  downTopic,
  laneId,
  maxLanes,
  mayPublish,
  maySubscribe,
  parseClientId,
  parseUpTopic,
  partitionOf,
  upKinds,
  upTopic,
} from "./topics.js";

const me = "cam-1";

test("topics are those of the protocol", () => {
  assert.equal(partitionOf(me), "1f");
  assert.equal(upTopic(me, "hello"), `muster/1/up/${partitionOf(me)}/cam-1/hello`);
  assert.equal(downTopic(me, "desired"), "muster/1/down/cam-1/desired");
});

test("devices are spread over the 256 partitions", () => {
  const seen = new Map<string, number>();
  for (let at = 0; at < 25_600; at += 1) {
    const partition = partitionOf(`cam-${at}`);
    assert.match(partition, /^[0-9a-f]{2}$/);
    seen.set(partition, (seen.get(partition) ?? 0) + 1);
  }
  assert.equal(seen.size, 256);
  assert.ok(Math.max(...seen.values()) < 160 && Math.min(...seen.values()) > 50);
});

test("every topic a device sends on is read back", () => {
  for (const kind of upKinds) assert.deepEqual(parseUpTopic(upTopic(me, kind)), { device: me, kind });
});

test("a device may send on its own topics and on no other", () => {
  const hello = upTopic(me, "hello");
  for (const kind of upKinds) assert.ok(mayPublish(me, upTopic(me, kind)));
  const foreign = [
    upTopic("cam-2", "hello"),
    upTopic("cam-11", "hello"),
    hello.replace("/hello", "/goodbye"),
    hello.replace("/hello", ""),
    `${hello}/more`,
    `/${hello}`,
    `${hello}/`,
    hello.replace(`/${partitionOf(me)}/`, "/00/"),
    hello.replace("/1/", "/2/"),
    hello.replace("/up/", "/down/"),
    hello.replace("/hello", "/+"),
    hello.replace("/hello", "/#"),
    hello.replace(`/${partitionOf(me)}/`, "/+/"),
    hello.toUpperCase(),
    ...downKinds.map((kind) => downTopic(me, kind)),
    "$SYS/broker/uptime",
    "#",
    "",
  ];
  for (const topic of foreign) {
    assert.ok(!mayPublish(me, topic), topic);
    if (topic !== upTopic("cam-2", "hello") && topic !== upTopic("cam-11", "hello")) {
      assert.equal(parseUpTopic(topic), undefined, topic);
    }
  }
});

test("a device may listen to its own topics, without wildcards, and to no other", () => {
  for (const kind of downKinds) assert.ok(maySubscribe(me, downTopic(me, kind)));
  const foreign = [
    ...downKinds.map((kind) => downTopic("cam-2", kind)),
    "muster/1/down/cam-1/#",
    "muster/1/down/cam-1/+",
    "muster/1/down/+/desired",
    "muster/1/#",
    "#",
    "+/1/down/cam-1/desired",
    "$share/group/muster/1/down/cam-1/desired",
    "$SYS/#",
    upTopic(me, "hello"),
    "",
  ];
  for (const filter of foreign) assert.ok(!maySubscribe(me, filter), filter);
});

test("names that are no device names are nobody's topics", () => {
  for (const name of ["", "+", "#", "a b", "x".repeat(65)]) {
    assert.equal(parseUpTopic(`muster/1/up/${partitionOf(name)}/${name}/hello`), undefined, name);
  }
});

test("a lane is named after its device, hears its own chunks and may send nothing", () => {
  assert.deepEqual(parseClientId(me), { device: me, lane: 0 });
  for (const lane of [1, 9, maxLanes]) assert.deepEqual(parseClientId(laneId(me, lane)), { device: me, lane });
  for (const id of [
    "",
    ".1",
    `${me}.`,
    `${me}.0`,
    `${me}.01`,
    `${me}.1.1`,
    `${me}.${maxLanes + 1}`,
    `${me}.x`,
    "a b.1",
  ])
    assert.equal(parseClientId(id), undefined, id);
  const lane = laneId(me, 2);
  assert.ok(maySubscribe(lane, downTopic(lane, "chunk")));
  for (const kind of downKinds) {
    assert.equal(maySubscribe(lane, downTopic(me, kind)), false);
    if (kind !== "chunk") assert.equal(maySubscribe(lane, downTopic(lane, kind)), false);
    assert.equal(maySubscribe(lane, downTopic(laneId(me, 3), kind)), false);
  }
  assert.equal(maySubscribe(me, downTopic(lane, "chunk")), false);
  for (const kind of upKinds) {
    assert.equal(mayPublish(lane, upTopic(me, kind)), false);
    assert.equal(mayPublish(lane, upTopic(lane, kind)), false);
    assert.equal(parseUpTopic(upTopic(lane, kind)), undefined);
  }
});
