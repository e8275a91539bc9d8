import { createDeflateRaw } from "node:zlib";
import {
  type BlobStore,
  type DeltaHeader,
  type DeltaSegment,
  deltaRuns,
  differences,
  encodeDeltaHeader,
} from "@muster/shared";
import { type TensorPlace, tensorPlaces } from "./quantize/onnx-layout.js";

/** Which parts of a model file are the same tensors as in another; undefined when too little is. */
export async function deltaHeader(store: BlobStore, base: string, target: string): Promise<DeltaHeader | undefined> {
  const [baseBytes, targetBytes] = [(await store.size(base)) ?? 0, (await store.size(target)) ?? 0];
  const known = new Map((await tensorPlaces(store, base)).map((place) => [place.name, place]));
  const segments: DeltaSegment[] = [];
  for (const place of await tensorPlaces(store, target)) {
    const before = known.get(place.name);
    if (before !== undefined && sameKind(before, place)) {
      segments.push([place.offset, place.length, before.offset, place.width]);
    }
  }
  const covered = segments.reduce((sum, [, length]) => sum + length, 0);
  return covered < targetBytes / 2 ? undefined : { targetBytes, baseBytes, segments };
}

/** The delta as a stream of bytes; holds one block at a time. */
export async function* deltaBytes(
  store: BlobStore,
  base: string,
  target: string,
  header: DeltaHeader,
): AsyncGenerator<Buffer> {
  yield encodeDeltaHeader(header);
  const deflate = createDeflateRaw({ level: 6 });
  const fed = (async () => {
    for (const run of deltaRuns(header)) {
      const bytes = await store.read(target, run.offset, run.length);
      const block =
        run.base === undefined
          ? bytes
          : differences(bytes, await store.read(base, run.base.offset, run.length), run.base.width);
      if (!deflate.write(block)) await new Promise((resolve) => deflate.once("drain", resolve));
    }
    deflate.end();
  })().catch((error: Error) => deflate.destroy(error));
  for await (const part of deflate) yield part as Buffer;
  await fed;
}

function sameKind(a: TensorPlace, b: TensorPlace): boolean {
  return a.kind === b.kind && a.length === b.length;
}
