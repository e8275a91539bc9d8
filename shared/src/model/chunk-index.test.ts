import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256 } from "../ids.js";
import { seededRandom } from "../testing/seeded-random.js";
import { decodeChunkIndex, encodeChunkIndex, maxChunkBytes } from "./chunk-index.js";

test("any index is read back as it was written, with offsets that follow each other", () => {
  const random = seededRandom(7);
  for (let round = 0; round < 50; round += 1) {
    const chunks = Array.from({ length: Math.floor(random() * 40) }, (_, at) => ({
      length: 1 + Math.floor(random() * maxChunkBytes),
      sha256: sha256(`${round}/${at}`),
    }));
    const sizeBytes = chunks.reduce((sum, { length }) => sum + length, 0);
    // A view into a larger buffer, as bytes from the network are.
    const bytes = Buffer.concat([Buffer.from("x"), encodeChunkIndex(chunks)]).subarray(1);
    const read = decodeChunkIndex(bytes, sizeBytes);
    assert.deepEqual(
      read.map(({ length, sha256: digest }) => ({ length, sha256: digest })),
      chunks,
    );
    let offset = 0;
    for (const chunk of read) {
      assert.equal(chunk.offset, offset);
      offset += chunk.length;
    }
  }
});

test("a damaged index is refused with what is wrong", () => {
  const chunk = { length: 100, sha256: sha256("a") };
  const bytes = encodeChunkIndex([chunk, chunk]);
  const refused = (damaged: Uint8Array, sizeBytes: number, message: RegExp) =>
    assert.throws(() => decodeChunkIndex(damaged, sizeBytes), { code: "artifact/index-invalid", message });
  refused(bytes.subarray(0, 71), 200, /71 bytes are no multiple of 36/);
  refused(bytes, 201, /add up to 200 bytes, the artifact has 201/);
  refused(bytes.subarray(0, 36), 200, /add up to 100 bytes/);
  refused(encodeChunkIndex([{ ...chunk, length: 0 }]), 0, /chunk 0 has 0 bytes/);
  refused(encodeChunkIndex([chunk, { ...chunk, length: maxChunkBytes + 1 }]), 0, /chunk 1 has 262145 bytes/);
});

test("an artifact without bytes has an index without chunks", () => {
  assert.deepEqual(decodeChunkIndex(Buffer.alloc(0), 0), []);
});
