import { type FileHandle, open } from "node:fs/promises";
import {
  encode,
  frameHeaderBytes,
  type Log,
  messageOf,
  type UploadCommand,
  type UploadRefusal,
  writeFrameHeader,
} from "@muster/shared";
import type { BuiltEngines } from "./built-engines.js";

export interface EngineUploadDeps {
  readonly engines: Pick<BuiltEngines, "find">;
  /** Sends on the topic `upload`; resolves when it is on its way. Throws `link/closed`. */
  readonly send: (payload: Buffer) => Promise<void>;
  readonly log: Log;
}

/** Commands that may wait; whoever has sent more asks again. */
const maxWaiting = 4;

/** Sends the hub the parts of engines that it asks for: only of files it was told of, one command after the other. */
export class EngineUpload {
  readonly #deps: EngineUploadDeps;
  readonly #waiting: UploadCommand[] = [];
  #work: Promise<void> | undefined;
  #dropped = 0;

  constructor(deps: EngineUploadDeps) {
    this.#deps = deps;
  }

  take(command: UploadCommand): void {
    if (this.#waiting.length >= maxWaiting) {
      this.#dropped += 1;
      this.#deps.log.warn("engine.upload.dropped", { artifact: command.artifact, dropped: this.#dropped });
      return;
    }
    this.#waiting.push(command);
    this.#work ??= this.#run().finally(() => {
      this.#work = undefined;
    });
  }

  /** Drops what waits. */
  async close(): Promise<void> {
    this.#waiting.length = 0;
    await this.#work;
  }

  async #run(): Promise<void> {
    for (let command = this.#waiting.shift(); command !== undefined; command = this.#waiting.shift()) {
      const { artifact, file } = command;
      try {
        await this.#answer(command);
      } catch (error) {
        // Without a connection nobody waits for it; what is missing is asked for again.
        this.#deps.log.debug("engine.upload.unsent", { artifact, file, reason: messageOf(error) });
      }
    }
  }

  async #answer(command: UploadCommand): Promise<void> {
    const { artifact, file: name, ranges } = command;
    const found = await this.#deps.engines.find(artifact, name);
    if (found === undefined) return this.#refuse(command, "gone");
    if (ranges.some(([offset, length]) => offset + length > found.sizeBytes)) return this.#refuse(command, "range");
    const file = await open(found.path, "r");
    try {
      for (const range of ranges) {
        const frame = await frameOf(file, command, range);
        if (frame === undefined) return await this.#refuse(command, "gone");
        await this.#deps.send(frame);
      }
    } finally {
      await file.close();
    }
  }

  async #refuse({ transfer, request }: UploadCommand, error: UploadRefusal["error"]): Promise<void> {
    await this.#deps.send(encode({ transfer, request, error } satisfies UploadRefusal));
  }
}

/** A range of a file as a chunk frame; undefined when the file has become shorter. */
async function frameOf(
  file: FileHandle,
  { transfer, request }: UploadCommand,
  [offset, length]: UploadCommand["ranges"][number],
): Promise<Buffer | undefined> {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + length);
  const { bytesRead } = await file.read(frame, frameHeaderBytes, length, offset);
  if (bytesRead < length) return undefined;
  writeFrameHeader(frame, { transfer, request, offset }, length);
  return frame;
}
