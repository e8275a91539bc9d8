import assert from "node:assert/strict";
import { test } from "node:test";
import { JpegFrames } from "./jpeg-frames.js";
import { picture } from "./testing.js";

test("frames come out as they went in, however the stream is cut", async () => {
  const frames = [await picture(1), await picture(2), await picture(3)];
  const stream = Buffer.concat(frames);
  for (const step of [1, 7, 1000, stream.length]) {
    const cutter = new JpegFrames(1_000_000);
    const got: Buffer[] = [];
    for (let at = 0; at < stream.length; at += step) got.push(...cutter.push(stream.subarray(at, at + step)));
    assert.deepEqual(got, frames, `in steps of ${step}`);
  }
});

test("what is no JPEG, and a frame without end, is refused", async () => {
  assert.throws(() => new JpegFrames(1000).push(Buffer.from("no picture \xff\xd9", "latin1")), {
    code: "source/failed",
  });
  const cutter = new JpegFrames(1000);
  cutter.push(Buffer.from([0xff, 0xd8]));
  assert.throws(() => cutter.push(Buffer.alloc(1000)), { code: "source/failed", message: /more than 1000 bytes/ });
});
