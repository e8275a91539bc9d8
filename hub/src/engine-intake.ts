import {
  type BlobStore,
  type BuiltEngine,
  type Clock,
  encodeChunkIndex,
  formatBytes,
  MusterError,
  type PrebuiltEngine,
} from "@muster/shared";
import { blobBytes, chunkUp, storeBytes } from "./chunking.js";
import type { EnginePulls } from "./engine-pulls.js";
import type { EngineStore } from "./store/engine-store.js";

export interface EngineIntakeDeps {
  readonly pulls: Pick<EnginePulls, "read">;
  readonly engines: Pick<EngineStore, "find">;
  /** What devices may fetch. */
  readonly artifacts: BlobStore;
  /**
   * What devices have sent and nothing uses yet. It is none of what people upload: a device that names the digest of such a
   * file, as of the plaintext of an encrypted model, must neither spread it nor delete it.
   */
  readonly pulled: BlobStore;
  readonly clock: Pick<Clock, "now">;
  readonly maxArtifactBytes: number;
}

const unusedMs = 86_400_000;

/** What is to be fetched, from where. */
export interface EngineSource {
  readonly device: string;
  readonly engineClass: string;
  readonly built: BuiltEngine;
}

/** Brings the files of an engine from a device into the store, each by the digest that the device reported. */
export class EngineIntake {
  readonly #deps: EngineIntakeDeps;

  constructor(deps: EngineIntakeDeps) {
    this.#deps = deps;
  }

  /** Throws `artifact/too-large` when the engine has more bytes than a model file may have. */
  requireSize({ files }: BuiltEngine): void {
    const { maxArtifactBytes } = this.#deps;
    const bytes = sizeOf(files);
    if (bytes <= maxArtifactBytes) return;
    const limit = `at most ${formatBytes(maxArtifactBytes)} are taken (maxArtifactBytes)`;
    throw new MusterError("artifact/too-large", `the engine has ${formatBytes(bytes)}; ${limit}`);
  }

  /**
   * Fetches what is not here yet and keeps it for a day: fetching again begins with the file
   * that was cut off. `onBytes` is told how much of the engine is here. Throws what {@link EnginePulls.read} does, and
   * `artifact/digest-mismatch`, `artifact/too-large`, `store/full`.
   */
  async fetch(
    { device, engineClass, built: { artifact, files } }: EngineSource,
    onBytes: (doneBytes: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { pulls, artifacts, pulled, engines } = this.#deps;
    // A device could name the digest of any blob, such as another model's, and so give it to its class: only those count as
    // here that this class gets, or got, of this very model file.
    const before = (await engines.find(artifact, engineClass))?.engine.files ?? [];
    const shared = new Set(before.map((file) => file.artifact.sha256));
    let doneBytes = 0;
    for (const { name, sha256, sizeBytes } of files) {
      const stored = shared.has(sha256) ? await artifacts.size(sha256) : undefined;
      if (stored === undefined && (await pulled.size(sha256)) === undefined) {
        const file = pulls.read(device, { artifact, name, sizeBytes }, signal);
        const source = counted(file, (bytes) => onBytes(doneBytes + bytes));
        await pulled.write(sha256, source, sizeBytes).catch((error) => {
          if (!(error instanceof MusterError && error.code === "artifact/digest-mismatch")) throw error;
          const message = `${device} sent other bytes of '${name}' than it reported; has it built the engine anew? Share it again`;
          throw new MusterError(error.code, message, { cause: error });
        });
      }
      doneBytes += sizeBytes;
      onBytes(doneBytes);
    }
  }

  /**
   * Makes artifacts of what {@link fetch} has brought; in a time of storing, as nothing names them yet. Throws
   * `artifact/missing` when a file that was here has been removed while others were fetched.
   */
  async keep({ files }: BuiltEngine): Promise<PrebuiltEngine["files"]> {
    const { artifacts, pulled } = this.#deps;
    const kept: PrebuiltEngine["files"] = [];
    for (const { name, sha256, sizeBytes } of files) {
      if ((await pulled.size(sha256)) !== undefined)
        await artifacts.write(sha256, blobBytes(pulled, sha256), sizeBytes);
      else if ((await artifacts.size(sha256)) === undefined)
        throw new MusterError(
          "artifact/missing",
          `'${name}' was removed here while others came; share the engine again`,
        );
      const index = await storeBytes(artifacts, encodeChunkIndex(await chunkUp(blobBytes(artifacts, sha256))));
      kept.push({ name, artifact: { sha256, sizeBytes, index } });
    }
    return kept;
  }

  /** Removes files that have become no engine for a day. */
  async forgetUnused(): Promise<void> {
    const { pulled, clock } = this.#deps;
    const beforeMs = clock.now() - unusedMs;
    for await (const { digest, modifiedMs } of pulled.list()) if (modifiedMs < beforeMs) await pulled.delete(digest);
  }

  /** Forgets the files that an engine was made of. */
  async forget({ files }: BuiltEngine): Promise<void> {
    for (const { sha256 } of files) await this.#deps.pulled.delete(sha256);
  }
}

/** Bytes of all files together. */
export function sizeOf(files: readonly { readonly sizeBytes: number }[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

async function* counted(source: AsyncIterable<Buffer>, onBytes: (bytes: number) => void): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const part of source) {
    bytes += part.length;
    onBytes(bytes);
    yield part;
  }
}
