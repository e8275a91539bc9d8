import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type BlobStore,
  type Clock,
  type Log,
  Manifest,
  type Root,
  type SigningKey,
  type Window,
} from "@muster/shared";
import { FakeClock, MemoryBlobs, newSigners, rootOf, sealRoot } from "@muster/shared/testing";
import { openSqlite } from "../adapters/sqlite-store.js";
import { ArtifactKeys } from "../artifact-keys.js";
import { Catalog } from "../catalog.js";
import { DesiredDocuments } from "../desired.js";
import { Devices } from "../devices.js";
import { Encodings } from "../encodings.js";
import { Entitlement } from "../entitlement.js";
import { type DeviceLink, linkRoomBytes } from "../ports.js";
import { EngineStore } from "../store/engine-store.js";
import { RolloutStore } from "../store/rollout-store.js";
import type { Database } from "../store/sql.js";
import { Storing } from "../storing.js";

/** A log that says nothing. */
export const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** A real store in memory with a clock that is moved by hand, and devices `a` and `b`. */
export async function rooms(): Promise<{ db: Database; clock: FakeClock; devices: Devices }> {
  const db = await openSqlite(":memory:");
  const clock = new FakeClock();
  const devices = await openDevices(db, clock);
  await devices.add("a", { site: "lyon" });
  await devices.add("b", { site: "nice" });
  return { db, clock, devices };
}

/** The registry over a store, as after a restart. */
export function openDevices(db: Database, clock: Clock): Promise<Devices> {
  return Devices.open({ db, clock, offlineAfterMs: 10_000 });
}

/** A link that keeps what was sent; `gone` devices cannot be reached. */
export class RecordedLink implements DeviceLink {
  readonly url = "mqtts://test:1";
  readonly lanes = 4;
  readonly sent: { device: string; kind: string; payload: Buffer; lane?: number }[] = [];
  /** Lanes that take no more until it resolves. */
  readonly held = new Map<number, Promise<void>>();
  readonly gone = new Set<string>();
  rechecks = 0;

  async send(device: string, kind: string, payload: Buffer): Promise<void> {
    if (this.gone.has(device)) throw new Error("gone");
    this.sent.push({ device, kind, payload });
  }

  async sendFrame(device: string, roomy: Buffer, lane = 0): Promise<void> {
    await this.held.get(lane);
    if (this.gone.has(device)) throw new Error("gone");
    const frame = { device, kind: "chunk", payload: Buffer.from(roomy.subarray(linkRoomBytes)) };
    this.sent.push(lane === 0 ? frame : { ...frame, lane });
  }

  async retain(device: string, kind: string, payload: Buffer): Promise<void> {
    this.sent.push({ device, kind, payload });
  }

  kick(device: string): void {
    this.gone.add(device);
  }

  recheck(): void {
    this.rechecks += 1;
  }

  useTls(): void {
    this.rechecks += 0;
  }

  counters(): Record<string, number> {
    return {};
  }

  async close(): Promise<void> {
    this.sent.length = 0;
  }
}

/** A manifest with a brightness baseline of two bins. */
export function manifestOf(release: number): Manifest {
  const blob = { sha256: "d".repeat(64), sizeBytes: 100 };
  return Manifest.parse({
    ...{
      model: "m",
      version: `${release}`,
      release,
      createdMs: 0,
      task: "image-classification",
      metadata: {},
      budgets: {},
    },
    variants: [
      { name: "fp32", precision: "fp32", artifact: { ...blob, index: { sha256: "e".repeat(64), sizeBytes: 36 } } },
    ],
    tensors: {
      inputs: [{ name: "x", dtype: "float32", shape: ["n", 3, 4, 4] }],
      outputs: [{ name: "y", dtype: "float32", shape: ["n", 2] }],
    },
    preprocess: {
      decode: "image",
      exifTurn: true,
      resize: { width: 4, height: 4, mode: "fill" },
      colour: "rgb",
      layout: "nchw",
      scale: 1,
      mean: [0, 0, 0],
      std: [1, 1, 1],
      dtype: "float32",
    },
    postprocess: { labels: ["up", "down"], softmax: false, topK: 1 },
    selfTest: { tolerance: 0.1, samples: [{ input: { sha256: "f".repeat(64), sizeBytes: 10 }, label: "up" }] },
    baseline: { brightness: { kind: "continuous", edges: [0.5], counts: [150, 150] } },
  });
}

/** A window of `inputs` inputs, a share of them bright. */
export function windowOf(seq: number, endMs: number, over: Partial<Window> = {}): Window {
  const inputs = over.inputs ?? 10;
  return {
    ...{ seq, startMs: endMs - 1000, endMs, model: "m", version: "1", manifest: "1".repeat(64), provider: "cpu" },
    ...{ inputs, errors: 0, dropped: 0, classes: { up: inputs }, rssBytes: 1 },
    stages: { run: { count: inputs, sum: 10 * inputs, min: 10, max: 10, zeros: 0, buckets: { "116": inputs } } },
    features: { brightness: [inputs / 2, inputs / 2] },
    ...over,
  };
}

/** Puts a version into the store as a push would have; its manifest digest is its release, repeated. */
export async function storeVersion(db: Database, release: number): Promise<void> {
  await db
    .insertInto("versions")
    .values({
      ...{ model: "m", version: `${release}`, release, manifest_digest: `${release}`.repeat(64), manifest_bytes: 5 },
      ...{ manifest: JSON.stringify(manifestOf(release)), content_digest: "c", size_bytes: 100, pushed_ms: 0 },
    })
    .execute();
}

/** A catalog over the store. */
export function catalogOf(db: Database, clock: Clock, devices: Devices, artifacts: BlobStore): Catalog {
  return new Catalog({ db, devices, artifacts, clock });
}

/** A catalog over the store and the shorter forms of what is in it. */
export function encodingsOf(
  db: Database,
  clock: Clock,
  devices: Devices,
  artifacts: BlobStore,
  storing: Storing = new Storing(),
) {
  const catalog = catalogOf(db, clock, devices, artifacts);
  const encodings = new Encodings({ db, artifacts, catalog, storing, clock, log: silent });
  const engines = new EngineStore(db);
  const entitlement = new Entitlement({ catalog, encodings, engines, rollouts: new RolloutStore(db) });
  return { catalog, storing, encodings, engines, entitlement };
}

/** Desired documents signed by keys made for the test, and the root that names these. */
export async function desiredOf(
  { db, clock, devices }: { db: Database; clock: Clock; devices: Devices },
  link: DeviceLink,
  validMs: number,
): Promise<{ desired: DesiredDocuments; root: Root; engines: EngineStore }> {
  const signers = newSigners();
  const root = rootOf(signers, { issuedMs: clock.now() });
  const [director] = signers.director as [SigningKey];
  const chain = [sealRoot(root, signers.root)];
  const folder = await mkdtemp(join(tmpdir(), "muster-hub-"));
  const artifactKeys = await ArtifactKeys.open(db, join(folder, "artifacts.key"));
  const { catalog, encodings, engines } = encodingsOf(db, clock, devices, new MemoryBlobs());
  const desired = new DesiredDocuments({
    ...{ db, clock, link, validMs, log: silent },
    trust: { director, chain: (after) => chain.slice(after) },
    keys: { artifactKeys, catalog, encodings, engines },
  });
  return { desired, root, engines };
}
