import {
  type BuiltEngine,
  engineClass,
  generateSigningKey,
  type Hardware,
  type Hello,
  Manifest,
  prebuiltEngineType,
  type Reported,
  type Root,
  type SigningKey,
  seal,
  sha256,
  type Wanted,
} from "@muster/shared";
import { MemoryBlobs, newSigners, rootOf } from "@muster/shared/testing";
import { EngineIntake } from "../engine-intake.js";
import { EngineNews } from "../engine-news.js";
import { EngineSharing } from "../engine-sharing.js";
import type { StoredEngine } from "../store/engine-store.js";
import { encodingsOf, manifestOf, rooms, silent } from "./hub-rooms.js";

/** What a Jetson says of itself. */
export const jetson: Hardware = {
  ...{ platform: "linux", arch: "arm64", board: "Jetson Orin", cpu: "A78AE", cores: 6 },
  ...{ memoryBytes: 8_000_000_000, freeDiskBytes: 1_000_000, providers: ["cpu", "tensorrt"] },
  onnxruntime: { version: "1.30.0", build: "one" },
  jetson: { module: "Orin NX", l4t: "36.4" },
  gpus: [{ name: "Orin", shared: true }],
};

/** The files of an engine as a device holds them. */
export const engineFiles: Readonly<Record<string, Buffer>> = {
  "graph_1_sm87.engine": Buffer.alloc(200_000, "engine"),
  "graph_1_sm87.profile": Buffer.from("profile"),
};

/** What a device says of such files. */
export function builtEngine(artifact: string, files: Readonly<Record<string, Buffer>> = engineFiles): BuiltEngine {
  const listed = Object.entries(files).map(([name, bytes]) => {
    return { name, sha256: sha256(bytes), sizeBytes: bytes.length };
  });
  return { artifact, files: listed };
}

/** A shared engine of a model file for Jetsons, with a signature that is worth nothing. */
export function prebuilt(artifact: string, createdMs = 0): StoredEngine {
  const files = Object.entries(engineFiles).map(([name, bytes]) => {
    const blob = (text: string) => ({ sha256: sha256(text), sizeBytes: bytes.length });
    return { name, artifact: { ...blob(name), index: blob(`index of ${name}`) } };
  });
  const own = engineClass(jetson) ?? "";
  const engine = { artifact, engineClass: own, builtBy: "a", createdMs, files };
  const envelope = seal(prebuiltEngineType, Buffer.from(JSON.stringify(engine)), [generateSigningKey()]);
  const { payload } = envelope;
  return { id: "e-0000000000000001", engine, payload, signed: { envelope, atMs: createdMs }, hardware: jetson };
}

/** A hub whose devices `a` and `b` are Jetsons of one class that are to run version 1 of `m`, which `a` runs and has built an engine of. */
export async function engineRooms(onHub = true) {
  const { db, clock, devices } = await rooms();
  const [artifacts, pulled] = [new MemoryBlobs(), new MemoryBlobs()];
  const { catalog, storing, encodings, engines, entitlement } = encodingsOf(db, clock, devices, artifacts);
  const signers = newSigners({ release: 2 });
  const [release, other] = signers.release as [SigningKey, SigningKey];
  const root: Root = rootOf({ ...signers, release: [release] }, { issuedMs: clock.now() });
  const manifest = Manifest.parse(manifestOf(1));
  const version = await catalog.record(manifest, seal("t", Buffer.from(JSON.stringify(manifest)), [release]), "c");
  const artifact = manifest.variants[0]?.artifact.sha256 ?? "";
  const wanted = wantedOf(version.manifestDigest);
  for (const id of ["a", "b"]) {
    await devices.hello(id, { agentVersion: "1", revision: 0, rootVersion: 0, hardware: jetson } as Hello);
    await db
      .updateTable("devices")
      .set({ desired_models: JSON.stringify([wanted]) })
      .where("id", "=", id)
      .execute();
  }
  let seq = 0;
  /** What a device says: version 1 is committed, and this was built of it. */
  const reports = async (id: string, engine: BuiltEngine | undefined) => {
    seq += 1;
    const committed = { version: "1", manifest: version.manifestDigest, release: 1 };
    const said = { model: "m", committed, finished: [], ...(engine === undefined ? {} : { engine }) };
    await devices.report(id, { seq, bootId: id, models: [said] } as unknown as Reported);
  };
  await reports("a", builtEngine(artifact));
  const [resent, swept] = [[] as string[], { sweeps: 0 }];
  /** What happens before a device is told. */
  const news: { before: () => Promise<void> } = { before: async () => undefined };
  const desired = {
    resend: async (id: string) => {
      await news.before();
      resent.push(id);
    },
  };
  const onDevice: Record<string, Buffer> = { ...engineFiles };
  /** Ends a read that waits, once it is there. */
  const hold: { until: Promise<void> | undefined } = { until: undefined };
  const reads: string[] = [];
  const pulls = {
    async *read(_device: string, { name }: { readonly name: string }, signal: AbortSignal) {
      signal.throwIfAborted();
      reads.push(name);
      await Promise.race([
        hold.until,
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
      ]);
      yield onDevice[name] ?? Buffer.alloc(0);
    },
  };
  const sharing = new EngineSharing({
    engines,
    intake: new EngineIntake({ pulls, engines, artifacts, pulled, clock, maxArtifactBytes: 1_000_000 }),
    blobs: { storing, garbage: { sweep: async () => ++swept.sweeps > 0 } },
    trust: { root, release: onHub ? release : undefined },
    fleet: { catalog, devices, news: new EngineNews({ catalog, devices, desired, log: silent }) },
    settings: { clock, log: silent },
  });
  return {
    ...{ db, clock, devices, artifacts, pulled, catalog, encodings, storing, engines, entitlement, sharing },
    ...{
      root,
      release,
      other,
      manifest,
      version,
      artifact,
      wanted,
      reports,
      resent,
      news,
      swept,
      onDevice,
      hold,
      reads,
    },
  };
}

function wantedOf(manifestDigest: string): Wanted {
  return {
    ...{ model: "m", version: "1", attempt: "r.1", probationMs: 0 },
    manifest: { sha256: manifestDigest, sizeBytes: 5 },
  };
}
