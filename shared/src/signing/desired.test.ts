import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256 } from "../ids.js";
import { type Manifest, manifestType } from "../model/manifest.js";
import { ImagePreprocess } from "../model/preprocess/image.js";
import { newSigners, rootOf } from "../testing/signed-roots.js";
import { type Desired, desiredType, verifyDesired, verifyManifest } from "./desired.js";
import { type SigningKey, seal } from "./envelope.js";

const signers = newSigners();
const [release] = signers.release as [SigningKey];
const [director] = signers.director as [SigningKey];
const nowMs = 1_700_000_000_000;
const keys = rootOf(signers, { issuedMs: nowMs });

const desired: Desired = {
  device: "cam-1",
  revision: 7,
  issuedMs: nowMs - 1000,
  expiresMs: nowMs + 1000,
  models: [
    {
      model: "defects",
      version: "1.4.0",
      manifest: { sha256: sha256("m"), sizeBytes: 1 },
      attempt: "r-1/1",
      probationMs: 1000,
    },
  ],
};
const context = { device: "cam-1", revision: 7, accepted: undefined, nowMs };
const sealed = (document: unknown, key = director, type = desiredType) =>
  seal(type, Buffer.from(typeof document === "string" ? document : JSON.stringify(document)), [key]);

test("a document that passes every check is accepted, also the one accepted before", () => {
  assert.deepEqual(verifyDesired(sealed(desired), keys, context), desired);
  assert.deepEqual(verifyDesired(sealed(desired), keys, { ...context, revision: 0 }), desired);
});

test("each check refuses on its own, with a reason", () => {
  const refused = (envelope: unknown, code: string, message: RegExp) =>
    assert.throws(() => verifyDesired(envelope, keys, context), { code, message });
  refused(sealed(desired, release), "signature/invalid", /needs 1 trusted signature/);
  refused(sealed(desired, director, manifestType), "signature/invalid", /is a application\/vnd\.muster\.manifest/);
  refused(sealed("{"), "signature/invalid", /is not JSON/);
  refused(sealed({ ...desired, revision: "7" }), "signature/invalid", /revision/);
  refused(
    sealed({ ...desired, models: [{ ...desired.models[0], manifest: "x" }] }),
    "signature/invalid",
    /models\[0\]\.manifest/,
  );
  refused(sealed({ ...desired, device: "cam-2" }), "desired/refused", /is for device cam-2, this is cam-1/);
  refused(sealed({ ...desired, revision: 6 }), "desired/refused", /has revision 6, this device has accepted 7/);
  refused(sealed({ ...desired, expiresMs: nowMs }), "desired/refused", /expired 2023-11-14T22:13:20\.000Z/);
});

test("the checks come in order: signature, shape, device, revision, expiry", () => {
  const wrongs: [Partial<Record<keyof Desired, unknown>>, RegExp][] = [
    [{ revision: "x" }, /does not fit/],
    [{ device: "cam-2" }, /is for device/],
    [{ revision: 1 }, /has revision/],
    [{ expiresMs: 0 }, /expired/],
  ];
  wrongs.forEach(([, message], at) => {
    // Everything from this check on is wrong; the first of it is told.
    const document = Object.assign(
      {},
      desired,
      ...wrongs
        .slice(at)
        .map(([wrong]) => wrong)
        .reverse(),
    );
    assert.throws(() => verifyDesired(sealed(document), keys, context), message);
    assert.throws(() => verifyDesired(sealed(document, release), keys, context), /trusted signature/);
  });
});

const manifest: Manifest = {
  model: "defects",
  version: "1.4.0",
  release: 5,
  createdMs: nowMs,
  task: "image-classification",
  variants: [
    {
      name: "fp32",
      precision: "fp32",
      artifact: { sha256: sha256("a"), sizeBytes: 1, index: { sha256: sha256("i"), sizeBytes: 36 } },
    },
  ],
  tensors: {
    inputs: [{ name: "image", dtype: "float32", shape: ["n", 3, 8, 8] }],
    outputs: [{ name: "scores", dtype: "float32", shape: ["n", 2] }],
  },
  preprocess: ImagePreprocess.parse({ resize: { width: 8, height: 8 } }),
  postprocess: { labels: ["ok", "bad"], softmax: false, topK: 1 },
  selfTest: { tolerance: 0.05, samples: [{ input: { sha256: sha256("s"), sizeBytes: 1 }, label: "ok" }] },
  budgets: {},
  requires: {},
  baseline: {},
  metadata: {},
};
const asked = { model: "defects", version: "1.4.0", releaseFloor: 5, lastGood: undefined, digest: sha256("m") };
const sealedManifest = (document: unknown, key = release) => sealed(document, key, manifestType);

test("a genuine manifest of the version asked for is accepted", () => {
  assert.deepEqual(verifyManifest(sealedManifest(manifest), keys, asked), manifest);
});

test("a manifest is refused when the hub signed it, when it is another version, or when it is older", () => {
  const refused = (envelope: unknown, code: string, message: RegExp) =>
    assert.throws(() => verifyManifest(envelope, keys, asked), { code, message });
  refused(sealedManifest(manifest, director), "signature/invalid", /manifest of defects 1\.4\.0 needs 1 trusted/);
  refused(sealed(manifest, release, desiredType), "signature/invalid", /is a application\/vnd\.muster\.desired/);
  refused(sealedManifest({ ...manifest, variants: [] }), "signature/invalid", /variants/);
  refused(sealedManifest({ ...manifest, version: "1.3.0" }), "desired/refused", /its manifest is of defects 1\.3\.0/);
  refused(sealedManifest({ ...manifest, model: "other" }), "desired/refused", /its manifest is of other/);
  refused(sealedManifest({ ...manifest, release: 4 }), "desired/refused", /wants release 4.*has had 5.*push it again/);
});

test("going back below the floor is allowed to what was good here before, and to nothing else", () => {
  const older = sealedManifest({ ...manifest, release: 4 });
  assert.equal(verifyManifest(older, keys, { ...asked, lastGood: asked.digest }).release, 4);
  assert.throws(() => verifyManifest(older, keys, { ...asked, lastGood: sha256("other") }), {
    code: "desired/refused",
  });
});
