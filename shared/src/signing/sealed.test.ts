import assert from "node:assert/strict";
import { test } from "node:test";
import { newArtifactKey, openArtifact, sealArtifact, sealedOverheadBytes } from "./sealed-artifact.js";
import { newSealingKey, SealingKey, sealingPublicKey, unwrapKey, wrapKey } from "./sealed-key.js";

async function* pieces(bytes: Buffer, length: number) {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

async function sealed(bytes: Buffer, key = newArtifactKey(), length = 1000): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of sealArtifact(pieces(bytes, length), key)) parts.push(part);
  return Buffer.concat(parts);
}

test("an encrypted artifact opens with its key, whatever pieces it came in", async () => {
  const plain = Buffer.from(Array.from({ length: 5000 }, (_, at) => at % 251));
  const key = newArtifactKey();
  const bytes = await sealed(plain, key);
  assert.equal(bytes.length, plain.length + sealedOverheadBytes);
  assert.deepEqual(await sealed(plain, key, 7), bytes);
  assert.deepEqual(openArtifact(bytes, key.key), plain);
  assert.ok(!bytes.includes(plain.subarray(0, 64)));
  assert.deepEqual(openArtifact(await sealed(Buffer.alloc(0), key), key.key), Buffer.alloc(0));
});

test("a changed bit anywhere, another key and a cut artifact are refused", async () => {
  const key = newArtifactKey();
  const bytes = await sealed(Buffer.alloc(300, 7), key);
  for (const at of [0, 11, 12, 150, bytes.length - 17, bytes.length - 1]) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.throws(() => openArtifact(changed, key.key), { code: "artifact/undecryptable" }, `bit at ${at}`);
  }
  for (const wrong of [bytes.subarray(0, -1), bytes.subarray(0, 20), Buffer.alloc(0)]) {
    assert.throws(() => openArtifact(wrong, key.key), { code: "artifact/undecryptable" });
  }
  assert.throws(() => openArtifact(bytes, newArtifactKey().key), { code: "artifact/undecryptable" });
});

test("a wrapped key opens for its device and its purpose only", () => {
  const [pem, other] = [newSealingKey(), newSealingKey()];
  const recipient = sealingPublicKey(pem);
  assert.ok(SealingKey.safeParse(recipient).success);
  for (const bad of [Buffer.alloc(32), Buffer.alloc(33, 9), Buffer.alloc(31, 9)]) {
    assert.equal(SealingKey.safeParse(bad.toString("base64")).success, false);
  }
  const secret = newArtifactKey().key;
  const wrapped = wrapKey(secret, recipient, "artifact 1");
  assert.deepEqual(unwrapKey(wrapped, pem, "artifact 1"), secret);
  assert.notEqual(wrapKey(secret, recipient, "artifact 1"), wrapped);
  const refused = { code: "artifact/undecryptable" } as const;
  assert.throws(() => unwrapKey(wrapped, other, "artifact 1"), refused);
  assert.throws(() => unwrapKey(wrapped, pem, "artifact 2"), refused);
  assert.throws(() => unwrapKey("AAAA", pem, "artifact 1"), refused);
  const bytes = Buffer.from(wrapped, "base64");
  for (const at of [0, 40, 60, bytes.length - 1]) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.throws(() => unwrapKey(changed.toString("base64"), pem, "artifact 1"), refused, `bit at ${at}`);
  }
});
