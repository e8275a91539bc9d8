import assert from "node:assert/strict";
import { cp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { VersionList } from "@muster/shared";
import { makeBundle } from "../fixtures/bundles.js";
import { startHub } from "./place.js";

/** What is done to a good bundle, and what the refusal has to say. */
interface Fault {
  readonly name: string;
  readonly spoil: (folder: string) => Promise<unknown>;
  readonly says: readonly RegExp[];
}

const edit = (change: (text: string) => string) => async (folder: string) => {
  const path = join(folder, "muster.yaml");
  const before = await readFile(path, "utf8");
  const after = change(before);
  assert.notEqual(after, before, "the fault changes nothing");
  await writeFile(path, after);
};

const faults: readonly Fault[] = [
  {
    name: "a missing model file",
    spoil: (folder) => rm(join(folder, "model.onnx")),
    says: [/variants\[0\]\.file/, /model\.onnx/],
  },
  {
    name: "a missing sample",
    spoil: (folder) => rm(join(folder, "samples", "0001-upright.jpg")),
    says: [/selfTest\.samples\[0\]\.file/],
  },
  { name: "an unknown key", spoil: edit((text) => `${text}\nlatency: 5\n`), says: [/latency/, /unknown key/] },
  {
    name: "a task that does not exist",
    spoil: edit((text) => text.replace("image-classification", "mind-reading")),
    says: [/task/, /image-classification/],
  },
  {
    name: "a wrong tensor name",
    spoil: edit((text) => text.replace(/name: "?x"?\b/, "name: image")),
    says: [/tensors\.inputs/, /'x'/],
  },
  {
    name: "a wrong tensor shape",
    spoil: edit((text) => text.replaceAll(/\[n, 2\]/g, "[n, 3]").replace(/upright, /, "upright, sideways, ")),
    says: [/tensors\.outputs\[0\]\.shape|scores/],
  },
  {
    name: "an unknown label",
    spoil: edit((text) => text.replace(/label: "?upright"?/, "label: sideways")),
    says: [/selfTest\.samples\[0\]\.expect\.label/, /sideways/],
  },
  {
    name: "a file that is not ONNX",
    spoil: (folder) => writeFile(join(folder, "model.onnx"), "this is no model, only text"),
    says: [/variants\[0\]\.file/, /ONNX/],
  },
  {
    name: "a truncated ONNX file",
    spoil: (folder) => truncate(join(folder, "model.onnx"), 300_000),
    says: [/variants\[0\]\.file/, /ONNX/],
  },
  {
    name: "a sample that is no picture",
    spoil: (folder) => writeFile(join(folder, "samples", "0001-upright.jpg"), "no picture"),
    says: [/selfTest\.samples\[0\]/, /JPEG/],
  },
  {
    name: "a path out of the bundle",
    spoil: edit((text) => text.replace("model.onnx", "../../etc/passwd")),
    says: [/variants\[0\]\.file/, /inside the bundle/],
  },
  {
    name: "YAML that is none",
    spoil: (folder) => writeFile(join(folder, "muster.yaml"), "name: [unclosed\n  version"),
    says: [/muster\.yaml/],
  },
  {
    name: "several problems at once",
    spoil: edit((text) => text.replace("image-classification", "x").replace(/^version:.*$/m, "version: ''")),
    says: [/version/, /task/],
  },
];

test("a bundle with a fault is refused with its place and cure, and the hub stays as it was", async (t) => {
  const { hub, folder } = await startHub(t);
  const good = join(folder, "good");
  await makeBundle(good, { version: "1.0.0", kind: "fp32", referenceImages: 30, samples: 2 });
  for (const { name, spoil, says } of faults) {
    await t.test(name, async () => {
      const bad = join(folder, "bad");
      await rm(bad, { recursive: true, force: true });
      await cp(good, bad, { recursive: true });
      await spoil(bad);
      const { code, stderr } = await hub.operator.run("model", "push", bad);
      assert.equal(code, 1, stderr);
      for (const words of says) assert.match(stderr, words);
      assert.deepEqual((await hub.operator.json<VersionList>("model", "ls")).versions, []);
    });
  }
  await t.test("and the good one is taken by the same hub, once", async () => {
    assert.equal((await hub.operator.run("model", "push", good)).code, 0);
    assert.equal((await hub.operator.run("model", "push", good)).code, 0);
    await edit((text) => text.replace("topK: 2", "topK: 1"))(good);
    const { code, stderr } = await hub.operator.run("model", "push", good);
    assert.equal(code, 1);
    assert.match(stderr, /pushed before with other contents; give it a new version/);
    assert.equal((await hub.operator.json<VersionList>("model", "ls")).versions.length, 1);
  });
});
