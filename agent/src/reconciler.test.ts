import assert from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  type Desired,
  type DocStore,
  desiredType,
  generateSigningKey,
  type Log,
  type SigningKey,
  seal,
} from "@muster/shared";
import { FakeClock, MemoryDoc, newSigners, rootOf, sealRoot } from "@muster/shared/testing";
import { FolderShelf } from "./adapters/folder-shelf.js";
import { Reconciler } from "./reconciler.js";
import { type AgentState, initialState } from "./state.js";
import type { Steps } from "./steps.js";

const signers = newSigners();
const [director] = signers.director as [SigningKey];
const noSteps = { run: () => Promise.reject(new Error("nothing is wanted here")) } as unknown as Steps;

/** A document that cannot be written while the disk is full. */
class FullDisk implements DocStore<AgentState> {
  full = false;
  readonly #doc = new MemoryDoc<AgentState>(initialState);

  read(): Promise<AgentState> {
    return this.#doc.read();
  }

  async write(next: AgentState): Promise<void> {
    if (this.full) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
    await this.#doc.write(next);
  }
}

async function bench() {
  const store = new FullDisk();
  const clock = new FakeClock();
  const events: string[] = [];
  const told: string[] = [];
  const log: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: (event) => told.push(event),
  };
  const root = rootOf(signers, { issuedMs: clock.now() });
  const joined = sealRoot(root, signers.root);
  const reconciler = await Reconciler.open({
    ...{ store, steps: noSteps, clock, log },
    shelf: await FolderShelf.open(await mkdtemp(join(tmpdir(), "muster-shelf-"))),
    device: { id: "a", joined, onEvent: async (kind) => void events.push(kind), onChange: () => undefined },
  });
  const document = (revision: number, over: Partial<Desired> = {}, key = director) => {
    const desired: Desired = {
      device: "a",
      revision,
      issuedMs: clock.now(),
      expiresMs: clock.now() + 1000,
      models: [],
      ...over,
    };
    return { desired: seal(desiredType, Buffer.from(JSON.stringify(desired)), [key]) };
  };
  return { store, clock, events, told, reconciler, document, root };
}

test("a desired document is accepted durably", async () => {
  const { store, reconciler, document } = await bench();
  await reconciler.take(document(3));
  assert.equal((await store.read()).revision, 3);
  assert.equal(reconciler.refusal, undefined);
});

test("one that is refused changes nothing, is told, and is forgotten with the next good one", async () => {
  const { store, clock, events, reconciler, document } = await bench();
  await reconciler.take(document(3));
  const before = await store.read();
  const bad = [
    document(2),
    document(4, { device: "b" }),
    document(4, { expiresMs: clock.now() }),
    document(4, {}, generateSigningKey()),
    { not: "an envelope" },
    null,
  ];
  for (const envelope of bad) {
    await reconciler.take(envelope);
    assert.ok(reconciler.refusal !== undefined);
  }
  assert.deepEqual(await store.read(), before);
  assert.deepEqual(
    events,
    bad.map(() => "desired.refused"),
  );
  await reconciler.take(document(4));
  assert.equal(reconciler.refusal, undefined);
});

test("of two documents that arrive together the newer stays, whatever their order", async () => {
  const { store, reconciler, document } = await bench();
  await Promise.all([reconciler.accept(document(6)), reconciler.accept(document(5))]);
  assert.equal((await store.read()).revision, 6);
  assert.equal(reconciler.state.revision, 6);
});

test("a document that cannot be stored is tried again until there is room", async () => {
  const { store, clock, told, reconciler, document } = await bench();
  store.full = true;
  const taken = reconciler.take(document(1, { expiresMs: clock.now() + 60_000 }));
  while (told.length === 0) await new Promise(setImmediate);
  assert.equal(reconciler.state.revision, 0, "memory follows only what is on disk");
  store.full = false;
  clock.advance(5000);
  await taken;
  assert.equal((await store.read()).revision, 1);
});

test("what is taken while the agent stops is left for the next start", async () => {
  const { store, reconciler, document } = await bench();
  store.full = true;
  const taken = reconciler.take(document(1));
  await new Promise(setImmediate);
  await reconciler.close();
  await taken;
  assert.equal((await store.read()).revision, 0);
});

test("a root that follows is kept with the document that came with it, over a restart too", async () => {
  const { store, reconciler, document, root } = await bench();
  const fresh = generateSigningKey();
  const next = { ...root, version: 2, roles: { ...root.roles, director: { keys: [fresh.public], threshold: 1 } } };
  const roots = [sealRoot(next, signers.root)];
  await reconciler.take({ roots, ...document(1, { device: "b" }, fresh) });
  assert.equal(reconciler.root.version, 1, "nothing of a refused message counts");
  await reconciler.take({ roots, ...document(1, {}, fresh) });
  assert.equal(reconciler.root.version, 2);
  assert.equal((await store.read()).trust?.root.version, 2);
  await reconciler.take(document(2));
  assert.match(reconciler.refusal ?? "", /trusted signature/, "the key before counts no longer");
});

test("a document that gets too old raises one alarm, and a newer one ends it", async () => {
  const { clock, events, reconciler, document } = await bench();
  await reconciler.take(document(1));
  reconciler.start();
  await new Promise(setImmediate);
  assert.deepEqual(events, []);
  clock.advance(1001);
  while (events.length === 0) await new Promise(setImmediate);
  clock.advance(120_000);
  await new Promise(setImmediate);
  assert.deepEqual(events, ["desired.expired"]);
  assert.match(reconciler.refusal ?? "", /desired document 1 expired .* keeps serving/);
  await reconciler.take(document(2, { expiresMs: clock.now() + 60_000 }));
  assert.equal(reconciler.refusal, undefined);
  await reconciler.close();
});
