import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type MusterError, sha256 } from "@muster/shared";
import { readBundle } from "./bundle-files.js";
import { sampleBundle } from "./testing/samples.js";

/** A folder with the given number of reference images, in two folders, and everything else the bundle names. */
async function bundleFolder(t: TestContext, images = 24, text = sampleBundle): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "muster-bundle-"));
  t.after(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, "reference", "b"), { recursive: true });
  await writeFile(join(folder, "muster.yaml"), text);
  await writeFile(join(folder, "model.onnx"), "model");
  await writeFile(join(folder, "ok.png"), "sample");
  for (let at = 0; at < images; at += 1) {
    const name = `${String(at).padStart(2, "0")}.${at % 2 === 0 ? "JPG" : "webp"}`;
    await writeFile(join(folder, "reference", at < 3 ? "b" : ".", name), `image ${at}`);
  }
  return folder;
}

test("a bundle is its description and every file it names, hashed, with the first images in sorted order", async (t) => {
  const folder = await bundleFolder(t);
  await writeFile(join(folder, "reference", "notes.txt"), "no image");
  const { text, files } = await readBundle(folder);
  assert.equal(text, sampleBundle);
  assert.deepEqual(
    files.slice(0, 3).map(({ path, digest, sizeBytes }) => ({ path, digest, sizeBytes })),
    [
      { path: "model.onnx", digest: sha256("model"), sizeBytes: 5 },
      { path: "ok.png", digest: sha256("sample"), sizeBytes: 6 },
      { path: "reference/03.webp", digest: sha256("image 3"), sizeBytes: 7 },
    ],
  );
  assert.equal(files.length, 2 + 21);
  assert.equal(files.at(-1)?.path, "reference/23.webp");
});

test("all problems of muster.yaml are listed at once", async (t) => {
  const folder = await bundleFolder(
    t,
    0,
    sampleBundle.replace("precision: fp32", "precision: fp8").replace("shape: [n, 2]", "shape: [0, 2]"),
  );
  await assert.rejects(readBundle(folder), (error: MusterError) => {
    assert.equal(error.code, "bundle/invalid");
    assert.deepEqual(
      error.problems.map(({ field }) => field),
      ["variants[0].precision", "tensors.outputs[0].shape[0]"],
    );
    return true;
  });
});

test("all missing files are listed at once", async (t) => {
  const folder = await bundleFolder(t, 19);
  await rm(join(folder, "model.onnx"));
  await rm(join(folder, "ok.png"));
  await mkdir(join(folder, "ok.png"));
  await assert.rejects(readBundle(folder), (error: MusterError) => {
    assert.deepEqual(
      error.problems.map(({ field }) => field),
      ["variants[0].file", "selfTest.samples[0].file", "baseline.images"],
    );
    assert.match(error.message, /there is no file 'model\.onnx'/);
    assert.match(error.message, /'ok\.png' is not a file/);
    assert.match(error.message, /holds 19 files/);
    return true;
  });
});

test("a folder without muster.yaml and one without its images say so", async (t) => {
  const folder = await bundleFolder(t, 0);
  await rm(join(folder, "reference"), { recursive: true });
  await assert.rejects(readBundle(folder), { message: /there is no folder 'reference'/ });
  await assert.rejects(readBundle(join(folder, "nowhere")), { code: "bundle/invalid", message: /no muster\.yaml/ });
});
