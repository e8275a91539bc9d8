import { createReadStream } from "node:fs";
import { createInflateRaw } from "node:zlib";
import { DeltaHeader, deltaRuns, fromDifferences, MusterError, maxDeltaHeaderBytes, parseWith } from "@muster/shared";
import type { BlobShelf } from "./ports.js";

/**
 * Rebuilds an artifact out of a base and a delta, both on the shelf, block by block in the order of the artifact. What
 * comes out is not verified here. Throws `artifact/delta-invalid`.
 */
export async function* applyDelta(
  shelf: BlobShelf,
  delta: string,
  { base, targetBytes }: { readonly base: string; readonly targetBytes: number },
): AsyncGenerator<{ offset: number; bytes: Buffer }> {
  const length = (await shelf.slice(delta, 0, 4)).readUInt32BE(0);
  if (length > maxDeltaHeaderBytes) throw invalid(`its header of ${length} bytes is too large`);
  const text = (await shelf.slice(delta, 4, length)).toString("utf8");
  const header = parseWith(DeltaHeader, jsonOf(text), "artifact/delta-invalid", "the delta's header");
  if (header.targetBytes !== targetBytes) throw invalid(`it makes ${header.targetBytes} bytes, not ${targetBytes}`);
  const file = createReadStream(shelf.path(delta), { start: 4 + length });
  const inflate = createInflateRaw();
  // A failure reaches whoever reads; when nobody reads any more, it must not reach the process.
  const fail = (error: Error) => inflate.destroy(error);
  file.on("error", fail);
  inflate.on("error", fail);
  try {
    const body = new ByteReader(file.pipe(inflate));
    for (const run of deltaRuns(header)) {
      const bytes = await body.take(run.length);
      if (run.base === undefined) yield { offset: run.offset, bytes };
      else {
        const before = await shelf.slice(base, run.base.offset, run.length);
        if (before.length !== run.length) throw invalid("its base is shorter than it says");
        yield { offset: run.offset, bytes: fromDifferences(bytes, before, run.base.width) };
      }
    }
  } finally {
    file.destroy();
    inflate.destroy();
  }
}

/** Takes a stream in pieces of wanted lengths. */
class ByteReader {
  readonly #source: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  async take(length: number): Promise<Buffer> {
    const parts = [this.#rest];
    let have = this.#rest.length;
    while (have < length) {
      const { value, done } = await this.#source.next().catch((cause: Error) => {
        throw invalid(`its body cannot be read: ${cause.message}`);
      });
      if (done === true) throw invalid("its body ends too early");
      parts.push(value);
      have += value.length;
    }
    const bytes = Buffer.concat(parts);
    this.#rest = bytes.subarray(length);
    return bytes.subarray(0, length);
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid("its header is not JSON", cause);
  }
}

function invalid(why: string, cause?: unknown): MusterError {
  return new MusterError("artifact/delta-invalid", `the delta does not fit: ${why}`, { cause });
}
