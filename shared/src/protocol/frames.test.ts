import assert from "node:assert/strict";
import { test } from "node:test";
import { maxChunkBytes } from "../model/chunk-index.js";
import { seededRandom } from "../testing/seeded-random.js";
import { decodeFrame, encodeFrame, frameHeaderBytes } from "./frames.js";

test("any frame is read back as it was written", () => {
  const random = seededRandom(9);
  const upTo = (limit: number) => Math.floor(random() * (limit + 1));
  for (let round = 0; round < 200; round += 1) {
    const frame = {
      transfer: upTo(0xffff_ffff),
      request: upTo(0xffff_ffff),
      offset: upTo(round % 2 === 0 ? Number.MAX_SAFE_INTEGER : 1_000_000),
      bytes: Buffer.from(Array.from({ length: upTo(300) }, () => upTo(255))),
    };
    assert.deepEqual(decodeFrame(encodeFrame(frame)), frame);
  }
});

test("the layout is that of the protocol, byte for byte", () => {
  const frame = encodeFrame({ transfer: 1, request: 2, offset: 3, bytes: Buffer.from("hi") });
  assert.equal(frame.toString("hex"), "4d7301000000000100000002000000000000000300000002".concat("6869"));
});

test("the bytes of a frame are a view, not a copy", () => {
  const frame = encodeFrame({ transfer: 1, request: 2, offset: 3, bytes: Buffer.from("hi") });
  assert.equal(decodeFrame(frame).bytes.buffer, frame.buffer);
});

test("each damaged field is named", () => {
  const frame = encodeFrame({ transfer: 1, request: 2, offset: 3, bytes: Buffer.alloc(10) });
  const damaged = (change: (bytes: Buffer) => Buffer | undefined, message: RegExp) => {
    const bytes = Buffer.from(frame);
    assert.throws(() => decodeFrame(change(bytes) ?? bytes), { code: "frame/invalid", message });
  };
  damaged((bytes) => bytes.subarray(0, 23), /length: 23 bytes are less than a header/);
  damaged(() => Buffer.alloc(0), /length: 0 bytes/);
  damaged((bytes) => void bytes.writeUInt16BE(0x1f8b, 0), /magic/);
  damaged((bytes) => void bytes.writeUInt8(2, 2), /version: 2 is not known/);
  damaged((bytes) => void bytes.writeUInt8(2, 3), /flags: 2 are not known/);
  damaged((bytes) => void bytes.writeUInt8(0xff, 12), /offset: \d+ is beyond any blob/);
  damaged((bytes) => void bytes.writeUInt32BE(11, 20), /length: says 11, carries 10/);
  damaged((bytes) => bytes.subarray(0, -1), /length: says 10, carries 9/);
  damaged((bytes) => Buffer.concat([bytes, Buffer.alloc(1)]), /length: says 10, carries 11/);
});

test("a frame longer than any chunk is refused", () => {
  const frame = encodeFrame({ transfer: 1, request: 2, offset: 0, bytes: Buffer.alloc(maxChunkBytes + 1) });
  assert.throws(() => decodeFrame(frame), /length: 262145 is more than 262144/);
  const largest = encodeFrame({ transfer: 1, request: 2, offset: 0, bytes: Buffer.alloc(maxChunkBytes) });
  assert.equal(decodeFrame(largest).bytes.length, largest.length - frameHeaderBytes);
});

test("random bytes never pass for a frame, and never throw anything else", () => {
  const random = seededRandom(10);
  for (let round = 0; round < 2000; round += 1) {
    const bytes = Buffer.from(Array.from({ length: Math.floor(random() * 60) }, () => Math.floor(random() * 256)));
    assert.throws(() => decodeFrame(bytes), { code: "frame/invalid" });
  }
});

test("a compressed frame says so", () => {
  const frame = { transfer: 1, request: 2, offset: 3, bytes: Buffer.from("small"), deflated: true };
  assert.deepEqual(decodeFrame(encodeFrame(frame)), frame);
  assert.equal(decodeFrame(encodeFrame({ ...frame, deflated: false })).deflated, undefined);
});
