import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { seededRandom } from "../testing/seeded-random.js";
import { type Envelope, generateSigningKey, open, PublicKey, readSigningKey, seal } from "./envelope.js";

const type = "application/vnd.test+json";
const [first, second, third, stranger] = [0, 1, 2, 3].map(() => generateSigningKey()) as [Key, Key, Key, Key];
type Key = ReturnType<typeof generateSigningKey>;
const trusted = [first.public, second.public, third.public];
const payload = Buffer.from('{"a": 1}');

function refused(envelope: unknown, message: RegExp, threshold = 1, keys = trusted): void {
  assert.throws(() => open(envelope, type, keys, threshold, "thing"), { code: "signature/invalid", message });
}

test("what a trusted key signed is opened, byte for byte, also after a journey as JSON", () => {
  for (const bytes of [payload, Buffer.alloc(0), Buffer.from([0, 255, 10, 128])]) {
    const envelope = JSON.parse(JSON.stringify(seal(type, bytes, [first])));
    assert.deepEqual(open(envelope, type, trusted, 1, "thing"), bytes);
  }
});

test("a key read from its PEM text is the same key, and only Ed25519 will do", () => {
  const pem = first.private.export({ type: "pkcs8", format: "pem" }).toString();
  assert.deepEqual(readSigningKey(pem).public, first.public);
  assert.match(first.public.keyid, /^[0-9a-f]{64}$/);
  assert.equal(Buffer.from(first.public.ed25519, "base64").length, 32);
  const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" });
  assert.throws(() => readSigningKey(other.toString()), { code: "signature/invalid", message: /Ed25519/ });
  assert.throws(() => readSigningKey("no key"), { code: "signature/invalid", message: /cannot be read as PEM/ });
  assert.ok(PublicKey.safeParse(first.public).success);
  assert.ok(!PublicKey.safeParse({ ...first.public, ed25519: "AAAA" }).success);
});

test("any single changed bit in payload or signature is found", () => {
  const envelope = seal(type, payload, [first]);
  const random = seededRandom(1);
  const flipped = (base64: string) => {
    const bytes = Buffer.from(base64, "base64");
    const at = Math.floor(random() * bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    return bytes.toString("base64");
  };
  for (let round = 0; round < 100; round += 1) {
    refused({ ...envelope, payload: flipped(envelope.payload) }, /needs 1 trusted signature\(s\) and has 0/);
    const signatures = envelope.signatures.map((one) => ({ ...one, sig: flipped(one.sig) }));
    refused({ ...envelope, signatures }, /has 0/);
  }
});

test("a document cannot pass for one of another type", () => {
  const envelope = seal("application/other", payload, [first]);
  refused(envelope, /thing is a application\/other, expected application\/vnd\.test/);
  refused({ ...envelope, payloadType: type }, /has 0/);
});

test("a key that is not trusted for the role counts for nothing, whatever id it claims", () => {
  const envelope = seal(type, payload, [stranger]);
  refused(envelope, new RegExp(`signed by ${stranger.public.keyid.slice(0, 12)}`));
  const claimed: Envelope = {
    ...envelope,
    signatures: envelope.signatures.map((one) => ({ ...one, keyid: first.public.keyid })),
  };
  refused(claimed, /has 0/);
  refused(seal(type, payload, [first]), /has 0/, 1, [second.public]);
});

test("a threshold is met by different keys only", () => {
  open(seal(type, payload, [first, second]), type, trusted, 2, "thing");
  open(seal(type, payload, [stranger, first, second]), type, trusted, 2, "thing");
  refused(seal(type, payload, [first]), /needs 2 trusted signature\(s\) and has 1/, 2);
  refused(seal(type, payload, [first, first]), /has 1/, 2);
  refused(seal(type, payload, [first, stranger]), /has 1/, 2);
  refused(seal(type, payload, [first]), /has 1/, 2, [first.public, first.public]);
});

test("one key cannot count twice under two ids", () => {
  const alias = { ...first.public, keyid: second.public.keyid };
  const twice = seal(type, payload, [first, { ...first, public: alias }]);
  refused(twice, /has 1/, 2, [first.public, alias]);
});

test("what has not the shape of an envelope is refused as one", () => {
  const envelope = seal(type, payload, [first]);
  for (const bad of [undefined, null, 7, "x", {}, { ...envelope, signatures: [] }, { ...envelope, payload: "***" }]) {
    refused(bad, /envelope of thing does not fit/);
  }
  refused({ ...envelope, signatures: [{ keyid: first.public.keyid, sig: "" }] }, /has 0/);
  refused({ ...envelope, signatures: [{ keyid: first.public.keyid, sig: "AAAA" }] }, /has 0/);
});
