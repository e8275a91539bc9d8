import { createHash, randomBytes } from "node:crypto";
import {
  decodeChunkIndex,
  encodeChunkIndex,
  generateSigningKey,
  manifestType,
  newArtifactKey,
  open,
  openArtifact,
  seal,
  sealArtifact,
  sha256,
} from "@muster/shared";
import { comparisonText, timesOf } from "./measure.js";

const rounds = 7;
/** Short works need more of them. */
const indexRounds = 101;
const artifactBytes = 2 * 1024 ** 3;
const chunkBytes = 128 * 1024;
const modelBytes = 64 * 1024 ** 2;

/** What a device pays before the first byte of a 2 GB model: the signature and the digest, beside only decoding the index. */
export async function benchIndex(): Promise<string> {
  const release = generateSigningKey();
  const digests = Array.from({ length: artifactBytes / chunkBytes }, (_, at) => sha256(`chunk ${at}`));
  const index = encodeChunkIndex(digests.map((digest) => ({ length: chunkBytes, sha256: digest })));
  const artifact = {
    sha256: "0".repeat(64),
    sizeBytes: artifactBytes,
    index: { sha256: sha256(index), sizeBytes: index.length },
  };
  const manifest = Buffer.from(JSON.stringify({ model: "large", variants: [{ name: "fp32", artifact }] }));
  const envelope = seal(manifestType, manifest, [release]);
  const decode = () => decodeChunkIndex(index, artifactBytes).length;
  const verified = () => {
    open(envelope, manifestType, [release.public], 1, "manifest");
    if (sha256(index) !== artifact.index.sha256) throw new Error("the index is damaged");
    decode();
  };
  const small = await timesOf(indexRounds, verified, decode);
  const hashed = randomBytes(modelBytes);
  const hash = () => {
    for (let bytes = 0; bytes < artifactBytes; bytes += modelBytes) createHash("sha256").update(hashed).digest();
  };
  const whole = await timesOf(
    rounds,
    () => {
      verified();
      hash();
    },
    () => {
      decode();
      hash();
    },
  );
  return comparisonText(
    `Trust in a 2 GB model: ${digests.length} chunks, index of ${index.length} bytes`,
    "unverified",
    [
      { what: "signature, index digest, decoding", ...small, unit: "ms" },
      { what: "beside hashing the 2 GB themselves", ...whole, unit: "ms" },
    ],
  );
}

/** What encryption adds: on the hub once per push, on a device at every load; and the bytes on the link. */
export async function benchEncryption(): Promise<string> {
  const model = randomBytes(modelBytes);
  async function* pieces() {
    for (let at = 0; at < model.length; at += 1024 * 1024) yield model.subarray(at, at + 1024 * 1024);
  }
  const digestOf = async (source: AsyncIterable<Uint8Array>) => {
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const part of source) {
      hash.update(part);
      bytes += part.length;
    }
    return { digest: hash.digest("hex"), bytes };
  };
  const key = newArtifactKey();
  const parts: Buffer[] = [];
  for await (const part of sealArtifact(pieces(), key)) parts.push(part);
  const sealed = Buffer.concat(parts);
  const push = await timesOf(
    rounds,
    async () => {
      await digestOf(sealArtifact(pieces(), key));
    },
    () => digestOf(pieces()),
  );
  const load = await timesOf(
    rounds,
    () => {
      sha256(sealed);
      sha256(openArtifact(sealed, key.key));
    },
    () => sha256(model),
  );
  return comparisonText("Encrypted models (AES-256-GCM), 64 MB", "not encrypted", [
    { what: "bytes on the link", ours: sealed.length, plain: model.length, unit: "B" },
    { what: "hub, once per push: encrypt and hash", ...push, unit: "ms" },
    { what: "device, per load: hash, decrypt, hash again", ...load, unit: "ms" },
  ]);
}
