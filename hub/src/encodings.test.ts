import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { encodeChunkIndex, Manifest, sha256 } from "@muster/shared";
import { MemoryBlobs } from "@muster/shared/testing";
import { storeBytes } from "./chunking.js";
import { encodingsOf, manifestOf, rooms } from "./testing/hub-rooms.js";

const chunkBytes = 64 * 1024;
/** Chunks that compress well, and chunks that do not. */
const [zeros, noise] = [Buffer.alloc(chunkBytes), randomBytes(chunkBytes)];

test("a compressed form that is not worth keeping takes nothing from another that has the same bytes", async () => {
  const { db, clock, devices } = await rooms();
  const artifacts = new MemoryBlobs();
  const { catalog, encodings } = encodingsOf(db, clock, devices, artifacts);
  const push = async (release: number, chunks: readonly Buffer[]) => {
    const manifest = manifestOf(release);
    const index = encodeChunkIndex(chunks.map((chunk) => ({ length: chunk.length, sha256: sha256(chunk) })));
    const artifact = {
      ...(await storeBytes(artifacts, Buffer.concat(chunks))),
      index: await storeBytes(artifacts, index),
    };
    const variants = manifest.variants.map((variant) => ({ ...variant, artifact }));
    const signed = { payloadType: "", payload: `${release}`, signatures: [{ keyid: "k", sig: "s" }] };
    const version = await catalog.record(Manifest.parse({ ...manifest, variants }), signed, `${release}`);
    encodings.kick();
    while ((await encodings.prepared(version)) < 1) await new Promise(setImmediate);
    return artifact.sha256;
  };
  const good = await push(1, [zeros]);
  const bad = await push(2, [zeros, ...Array.from({ length: 24 }, () => noise)]);
  assert.equal(await encodings.packing(bad), undefined, "it would save too little");
  const packing = await encodings.packing(good);
  const [chunk] = packing?.chunks.values() ?? [];
  assert.ok(packing !== undefined && chunk !== undefined);
  assert.equal((await artifacts.read(packing.blob, chunk.offset, chunk.packed)).length, chunk.packed);
  await encodings.close();
});
