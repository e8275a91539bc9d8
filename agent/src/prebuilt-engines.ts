import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import {
  type Artifact,
  type Clock,
  type Envelope,
  engineClass,
  formatBytes,
  type Hardware,
  type Log,
  MusterError,
  messageOf,
  PrebuiltEngine,
  type Root,
  TurnsOf,
  verifyPrebuiltEngine,
} from "@muster/shared";
import type { Allowance } from "./allowance.js";
import { machineKey } from "./core/machine.js";
import type { EngineCache } from "./engine-cache.js";
import { EngineWait, type EngineWaitDeps } from "./engine-wait.js";
import type { BlobShelf } from "./ports.js";
import type { Transfer } from "./transfer.js";
import type { Progress } from "./watch.js";

export interface PrebuiltEnginesDeps {
  readonly shelf: BlobShelf;
  readonly transfer: Pick<Transfer, "fetchArtifact">;
  readonly link: EngineWaitDeps["link"];
  readonly allowance: Pick<Allowance, "paused" | "leftBytes">;
  readonly cache: EngineCache;
  /** What the models have on the shelf. */
  readonly blobs: {
    readonly needed: () => Promise<ReadonlySet<string>>;
    /** Removes those that no model needs. */
    readonly discard: (digests: readonly string[]) => Promise<void>;
  };
  readonly device: {
    /** Whose signatures count now. */
    readonly root: () => Root;
    readonly hardware: () => Promise<Hardware>;
    /** Something worth telling the hub happened. */
    readonly tell: (kind: string, fields: Record<string, unknown>) => Promise<void>;
  };
  readonly clock: Clock;
  readonly log: Log;
}

/** What engines are taken for. */
export interface EngineOffer {
  readonly model: string;
  readonly version: string;
  /** As the hub sent them. */
  readonly engines: readonly Envelope[];
  /** Digests of the model files that are tried here, none of them encrypted. */
  readonly artifacts: readonly string[];
}

/** How one engine is taken. */
interface Taking {
  /** Nobody wants it any more. */
  readonly signal: AbortSignal;
  /** That, or it is better built here. */
  readonly end: AbortSignal;
  readonly wait: EngineWait;
  readonly onProgress: (progress: Progress) => void;
}

/** Enough of an engine to know whether it is for this device to judge. */
const OfArtifact = PrebuiltEngine.pick({ artifact: true });
/** What the journal of a transfer and the file system add to a file. */
const diskMargin = 1.1;

/** Takes engines that devices of the same class have built, so that none has to be built here. */
export class PrebuiltEngines {
  readonly #deps: PrebuiltEnginesDeps;
  /** Two models may have the same file. */
  readonly #turns = new TurnsOf<string>();

  constructor(deps: PrebuiltEnginesDeps) {
    this.#deps = deps;
  }

  /**
   * Brings the engines of an offer here, each unless there is one, all of them in about the time of a build. One that cannot be
   * had is told and only means that it is built here; nothing but the signal's reason is thrown. May be repeated after a kill.
   */
  async take(offer: EngineOffer, signal: AbortSignal, onProgress: (progress: Progress) => void): Promise<void> {
    const { model, version, artifacts } = offer;
    const wait = new EngineWait(this.#deps);
    for (const envelope of offer.engines) {
      const artifact = artifacts.find((one) => one === readAs(OfArtifact, envelope)?.artifact);
      if (artifact === undefined) continue;
      try {
        await wait.watch((late) => {
          const end = AbortSignal.any([signal, late]);
          const taking = { signal, end, wait, onProgress };
          return this.#turns.take(artifact, () => this.#takeOne(offer, artifact, envelope, taking), end);
        });
      } catch (error) {
        signal.throwIfAborted();
        const fields = { model, version, artifact, reason: messageOf(error) };
        this.#deps.log.warn("engine.refused", fields);
        await this.#deps.device.tell("engine.refused", fields);
      }
    }
  }

  async #takeOne({ model, version }: EngineOffer, artifact: string, envelope: Envelope, taking: Taking): Promise<void> {
    const { cache, device, log } = this.#deps;
    const hardware = await device.hardware();
    const ownClass = engineClass(hardware);
    if (ownClass === undefined) return;
    const engine = verifyPrebuiltEngine(envelope, device.root(), { artifact, engineClass: ownClass });
    const machine = machineKey(hardware);
    const there = (await cache.files(artifact, machine)).length > 0;
    if (!there) {
      try {
        await this.#refuseNeeded(engine);
        this.#refuseWithoutRoom(engine, hardware.freeDiskBytes);
        await this.#refuseBeyondAllowance(engine);
        await this.#fetch(engine, taking);
        await cache.put(artifact, machine, (folder) => this.#copy(engine, folder, taking.end));
      } catch (error) {
        // What a stopped agent has fetched is of use when it goes on.
        if (!taking.signal.aborted) await this.#dropBlobs(engine);
        throw error;
      }
    }
    await this.#dropBlobs(engine);
    if (there) return;
    const fields = { model, version, artifact, builtBy: engine.builtBy, bytes: bytesOf(engine) };
    log.info("engine.taken", fields);
    await device.tell("engine.taken", fields);
  }

  /** The files lie here twice for a moment. */
  #refuseWithoutRoom(engine: PrebuiltEngine, freeDiskBytes: number): void {
    const neededBytes = Math.ceil(bytesOf(engine) * (1 + diskMargin));
    if (neededBytes <= freeDiskBytes) return;
    const sizes = `it takes ${formatBytes(neededBytes)} to take it, ${formatBytes(freeDiskBytes)} are free`;
    throw new MusterError("artifact/too-large", `${sizes}; make room in the data folder`);
  }

  /** What a model has on the shelf is neither copied as an engine nor removed with one, whoever signed that. */
  async #refuseNeeded(engine: PrebuiltEngine): Promise<void> {
    const needed = await this.#deps.blobs.needed();
    const [both] = blobsOf(engine).filter((blob) => needed.has(blob));
    if (both === undefined) return;
    throw new MusterError(
      "message/invalid",
      `it names ${both.slice(0, 12)}, which is a file of a model; share it again`,
    );
  }

  /** What there is of it in part is not fetched again. */
  async #refuseBeyondAllowance({ files }: PrebuiltEngine): Promise<void> {
    const { shelf, allowance } = this.#deps;
    let missingBytes = 0;
    for (const { artifact } of files) {
      missingBytes += Math.max(0, artifact.sizeBytes - (await shelf.diskBytes(artifact.sha256)));
    }
    const leftBytes = allowance.leftBytes();
    if (missingBytes <= leftBytes) return;
    const sizes = `it takes ${formatBytes(missingBytes)}, ${formatBytes(leftBytes)} may still be fetched today`;
    throw new MusterError("transfer/refused", `${sizes}; raise transferBytesPerDay`);
  }

  async #fetch(engine: PrebuiltEngine, { end, wait, onProgress }: Taking): Promise<void> {
    onProgress({ doing: `fetching the engine that ${engine.builtBy} built` });
    await wait.fetching(bytesOf(engine), async (listener) => {
      for (const { artifact } of engine.files) {
        const onFile = listener();
        await this.#deps.transfer.fetchArtifact(artifact, end, onFile);
        // Of one that was here already nothing was told.
        onFile({ doneBytes: artifact.sizeBytes, totalBytes: artifact.sizeBytes });
      }
    });
  }

  async #copy({ files }: PrebuiltEngine, folder: string, signal: AbortSignal): Promise<void> {
    for (const { name, artifact } of files) {
      await copyVerified(this.#deps.shelf.path(artifact.sha256), join(folder, name), artifact, signal);
    }
  }

  #dropBlobs(engine: PrebuiltEngine): Promise<void> {
    return this.#deps.blobs.discard(blobsOf(engine));
  }
}

/** The blobs of engines that the hub offers, whatever they are worth: their signatures are looked at before they are used. */
export function engineBlobs(engines: readonly Envelope[]): string[] {
  return engines.flatMap((envelope) => {
    const engine = readAs(PrebuiltEngine, envelope);
    return engine === undefined ? [] : blobsOf(engine);
  });
}

function blobsOf({ files }: PrebuiltEngine): string[] {
  return files.flatMap(({ artifact }) => [artifact.sha256, artifact.index.sha256]);
}

/** What an envelope says, not verified; undefined when it says something else. */
function readAs<T>(schema: { safeParse(value: unknown): { data?: T } }, { payload }: Envelope): T | undefined {
  try {
    return schema.safeParse(JSON.parse(Buffer.from(payload, "base64").toString("utf8"))).data;
  } catch {
    return undefined;
  }
}

/** Copies a file durably. Throws `artifact/digest-mismatch` when it is not what it should be. */
async function copyVerified(from: string, to: string, { sha256 }: Pick<Artifact, "sha256">, signal: AbortSignal) {
  const hash = createHash("sha256");
  const file = await open(to, "wx", 0o600);
  try {
    for await (const part of createReadStream(from, { highWaterMark: 128 * 1024, signal })) {
      hash.update(part as Buffer);
      await file.write(part as Buffer);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  if (hash.digest("hex") === sha256) return;
  throw new MusterError("artifact/digest-mismatch", "it was changed on this device after it was fetched");
}

function bytesOf({ files }: PrebuiltEngine): number {
  return files.reduce((sum, { artifact }) => sum + artifact.sizeBytes, 0);
}
