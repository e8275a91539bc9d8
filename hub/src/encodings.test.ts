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

test("a version counts as prepared once its forms are stored, and when they cannot be; the next kick tries again", async () => {
  const { db, clock, devices } = await rooms();
  const artifacts = new MemoryBlobs();
  const { catalog, encodings } = encodingsOf(db, clock, devices, artifacts);
  const index = await storeBytes(artifacts, encodeChunkIndex([{ length: chunkBytes, sha256: sha256(zeros) }]));
  const artifact = { ...(await storeBytes(artifacts, zeros)), index };
  const manifest = manifestOf(1);
  const variants = manifest.variants.map((variant) => ({ ...variant, artifact }));
  const signed = { payloadType: "", payload: "1", signatures: [{ keyid: "k", sig: "s" }] };
  const version = await catalog.record(Manifest.parse({ ...manifest, variants }), signed, "1");
  const settled = async () => {
    while ((await encodings.prepared(version)) < 1) await new Promise(setImmediate);
    return encodings.packing(artifact.sha256);
  };
  const add = artifacts.add.bind(artifacts);
  let allRead: number | undefined;
  artifacts.add = async (source, maxBytes) => {
    await add(source, maxBytes);
    allRead = await encodings.prepared(version);
    throw new Error("the disk is full");
  };
  encodings.kick();
  assert.equal(await settled(), undefined);
  assert.equal(allRead, 0.99, "not all was stored");
  artifacts.add = add;
  encodings.kick();
  while ((await settled()) === undefined) await new Promise(setImmediate);
  await encodings.close();
});
