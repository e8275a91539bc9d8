import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { z } from "zod";
import { docStoreContract, type SampleDoc } from "../testing/contracts.js";
import { MemoryDoc } from "../testing/memory-stores.js";
import { LowdbDoc } from "./lowdb-doc.js";

const schema = z.strictObject({ n: z.number(), items: z.array(z.string()) });

const folders: string[] = [];
async function newPath(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "muster-doc-"));
  folders.push(folder);
  return join(folder, "doc.json");
}
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

docStoreContract("LowdbDoc", async (initial) => new LowdbDoc(await newPath(), schema, initial));
docStoreContract("MemoryDoc", async (initial) => new MemoryDoc(initial));

const empty: SampleDoc = { n: 0, items: [] };

test("a document survives the process that wrote it", async () => {
  const path = await newPath();
  await new LowdbDoc(path, schema, empty).write({ n: 5, items: ["a"] });
  assert.deepEqual(await new LowdbDoc(path, schema, empty).read(), { n: 5, items: ["a"] });
});

test("the temporary file of a crash is ignored", async () => {
  const path = await newPath();
  await new LowdbDoc(path, schema, empty).write({ n: 5, items: [] });
  await writeFile(join(path, "../.doc.json.123.abc.tmp"), '{"n": 6, "it');
  const store = new LowdbDoc(path, schema, empty);
  assert.equal((await store.read()).n, 5);
  await store.write({ n: 7, items: [] });
  assert.equal((await new LowdbDoc(path, schema, empty).read()).n, 7);
});

test("a damaged file is told, never taken for an empty one, and never written over", async () => {
  const path = await newPath();
  for (const [text, message] of [
    ["", /is not JSON; restore it or move it away/],
    ['{"n": 1, "it', /is not JSON/],
    ['{"n": "one", "items": []}', /doc\.json does not fit:\n {2}n: /],
    ['{"n": 1, "items": [], "more": 1}', /more: unknown key/],
    ["null", /does not fit/],
  ] as const) {
    await writeFile(path, text);
    const store = new LowdbDoc(path, schema, empty);
    await assert.rejects(store.read(), { code: "store/damaged", message });
    await assert.rejects(store.write({ n: 2, items: [] }), { code: "store/damaged" });
    assert.equal(await readFile(path, "utf8"), text);
  }
});

test("after a write that failed the document is the one before, and the next write works", async () => {
  const path = await newPath();
  const store = new LowdbDoc(path, schema, empty);
  await store.write({ n: 1, items: [] });
  const unwritable = { n: 2n as unknown as number, items: [] };
  await assert.rejects(store.write(unwritable), /BigInt/);
  assert.equal((await store.read()).n, 1);
  await store.write({ n: 3, items: [] });
  assert.equal((await new LowdbDoc(path, schema, empty).read()).n, 3);
});
