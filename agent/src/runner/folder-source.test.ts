import assert from "node:assert/strict";
import { appendFile, mkdir, readdir, readFile, rename, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { FolderSource } from "./feed-settings.js";
import { makeManifest, picture, serve, slotOf, startRunner, temporaryFolder, until } from "./testing.js";

interface Line {
  atMs: number;
  source: string;
  input: string;
  model: string;
  version: string;
  label: string;
  confidence: number;
}

async function camera(changes: Partial<FolderSource> = {}) {
  const folder = await temporaryFolder();
  const inbox = join(folder, "inbox");
  await mkdir(inbox);
  const answers = join(folder, "answers.jsonl");
  const source = { type: "folder", path: inbox, model: "label-orientation", pollMs: 50, afterwards: "keep" } as const;
  const settings = {
    stateDir: join(folder, "state"),
    sources: [{ ...source, ...changes }],
    sinks: [{ type: "jsonl" as const, path: answers, maxBytes: 1_000_000 }],
  };
  const put = async (name: string, bytes?: Buffer, ageMs = 0) => {
    const path = join(inbox, name);
    await writeFile(path, bytes ?? (await picture()));
    const mtime = (Date.now() - ageMs) / 1000;
    if (ageMs > 0) await utimes(path, mtime, mtime);
  };
  const lines = async (): Promise<Line[]> => {
    const text = await readFile(answers, "utf8").catch(() => "");
    return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Line]));
  };
  return { inbox, answers, settings, put, lines };
}

const version = async () => slotOf(await makeManifest([await picture()]));

test("new pictures are answered oldest first, kept, and not answered again after a restart", async (t) => {
  const { inbox, settings, put, lines } = await camera();
  await put("c.jpg", undefined, 5000);
  await put("a.JPG", undefined, 9000);
  await put("b.png", await picture(2, "png"), 7000);
  await put("notes.txt");
  const first = await startRunner(t, settings);
  await serve(first.host, await version());
  await until("three answers", async () => (await lines()).length === 3);
  // Two at a time, so that neighbours may swap; the last is never before the first.
  const order = (await lines()).map(({ input }) => input);
  assert.ok(order.indexOf("a.JPG") < order.indexOf("c.jpg"), order.join());
  const [line] = await lines();
  assert.equal(line?.source, inbox);
  assert.deepEqual([line?.model, line?.version], ["label-orientation", "1.0.0"]);
  assert.ok((line?.confidence ?? 0) > 0.5 && (line?.atMs ?? 0) > 0);
  await first.host.close();

  await put("d.jpg");
  const second = await startRunner(t, settings);
  await serve(second.host, await version());
  await until("the new picture is answered", async () => (await lines()).some(({ input }) => input === "d.jpg"));
  assert.equal((await lines()).length, 4);
  // Written long ago by a board whose clock was wrong, and a name that is used again.
  await put("e.jpg", undefined, 90_000_000);
  await put("a.JPG", await picture(9));
  await until("both are answered", async () => (await lines()).length >= 6);
  assert.deepEqual(
    (await lines())
      .slice(4)
      .map(({ input }) => input)
      .sort(),
    ["a.JPG", "e.jpg"],
  );
  assert.equal((await readdir(inbox)).length, 6);
});

test("what was marked is not answered again after the runner was killed", async (t) => {
  const { settings, put, lines } = await camera();
  const first = await startRunner(t, settings);
  await serve(first.host, await version());
  await put("a.jpg");
  await until("the picture is marked", async () =>
    (await readdir(settings.stateDir).catch(() => [])).some((name) => name.endsWith(".jsonl")),
  );
  process.kill(first.host.pid ?? 0, "SIGKILL");
  const second = await startRunner(t, settings);
  await serve(second.host, await version());
  await put("b.jpg");
  await until("the second picture is answered", async () => (await lines()).some(({ input }) => input === "b.jpg"));
  assert.deepEqual(
    (await lines()).map(({ input }) => input),
    ["a.jpg", "b.jpg"],
  );
});

test("answered pictures are deleted where the source says so, and an unreadable one is left and not retried", async (t) => {
  const { inbox, settings, put, lines } = await camera({ afterwards: "delete" });
  const { host } = await startRunner(t, settings);
  await serve(host, await version());
  await put("good.jpg");
  await put("bad.jpg", Buffer.from("no picture"));
  await until("the good one is gone", async () => (await readdir(inbox)).join() === "bad.jpg");
  await until("the bad one is counted", async () => (await host.status()).sources[0]?.failed === 1);
  await put("more.jpg");
  await until(
    "the next one is gone",
    async () => (await readdir(inbox)).join() === "bad.jpg" && (await lines()).length === 2,
  );
  const [source] = (await host.status()).sources;
  assert.deepEqual([source?.taken, source?.failed], [3, 1]);
  assert.match(source?.lastError ?? "", /bad\.jpg: the bytes are no JPEG/);
});

test("a picture that is still being written is left until it is whole", async (t) => {
  const { inbox, settings, lines } = await camera();
  const { host } = await startRunner(t, settings);
  await serve(host, await version());
  const jpeg = await picture();
  const half = Math.floor(jpeg.length / 2);
  await writeFile(join(inbox, "slow.jpg"), jpeg.subarray(0, half));
  await appendFile(join(inbox, "slow.jpg"), jpeg.subarray(half));
  await writeFile(join(inbox, ".next.jpg"), jpeg.subarray(0, half));
  await until("it is answered", async () => (await lines()).length === 1);
  await writeFile(join(inbox, ".next.jpg"), jpeg);
  await rename(join(inbox, ".next.jpg"), join(inbox, "next.jpg"));
  await until("the renamed one is answered", async () => (await lines()).length === 2);
  assert.equal((await host.status()).sources[0]?.failed, 0);
});

test("pictures wait while no version serves and while the queue is full; none is dropped", async (t) => {
  const { settings, put, lines } = await camera();
  for (let at = 0; at < 40; at += 1) await put(`${at}.jpg`, undefined, 60_000 - at);
  const { host } = await startRunner(t, { ...settings, workers: 1, maxQueue: 1 });
  await until("the source runs", async () => (await host.status()).sources[0]?.taken === 0);
  await serve(host, await version());
  await until("all are answered", async () => (await lines()).length === 40);
  const [window] = await host.takeWindows();
  assert.deepEqual([window?.inputs, window?.errors, window?.dropped], [40, 0, 0]);
});

test("a folder that comes later is watched from then on", async (t) => {
  const { inbox, settings, lines } = await camera();
  const late = join(inbox, "late");
  const { host } = await startRunner(t, { ...settings, sources: settings.sources.map((s) => ({ ...s, path: late })) });
  await serve(host, await version());
  await until("the lack is told", async () => /late/.test((await host.status()).sources[0]?.lastError ?? ""));
  await mkdir(late);
  await writeFile(join(late, "a.jpg"), await picture());
  await until("it is answered", async () => (await lines()).length === 1);
});
