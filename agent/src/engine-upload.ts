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

/** A command that is being worked on. */
interface Answering {
  readonly command: UploadCommand;
  /** A newer one for the same file has come. */
  superseded: boolean;
}

/** Commands that may wait; whoever has sent more asks again. */
const maxWaiting = 4;

/**
 * Sends the hub the parts of engines that it asks for: only of files it was told of, one command after the other. The hub asks
 * for what has not come yet, so a newer command for a file takes the place of those before it: on a thin line, what they ask for
 * is on its way or was asked for again.
 */
export class EngineUpload {
  readonly #deps: EngineUploadDeps;
  #waiting: UploadCommand[] = [];
  #answering: Answering | undefined;
  #work: Promise<void> | undefined;
  #dropped = 0;

  constructor(deps: EngineUploadDeps) {
    this.#deps = deps;
  }

  take(command: UploadCommand): void {
    this.#waiting = this.#waiting.filter((one) => !sameFile(one, command));
    if (this.#answering !== undefined && sameFile(this.#answering.command, command)) this.#answering.superseded = true;
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
      this.#answering = { command, superseded: false };
      try {
        await this.#answer(this.#answering);
      } catch (error) {
        // Without a connection nobody waits for it; what is missing is asked for again.
        this.#deps.log.debug("engine.upload.unsent", { artifact, file, reason: messageOf(error) });
      }
    }
    this.#answering = undefined;
  }

  async #answer(answering: Answering): Promise<void> {
    const { command } = answering;
    const { artifact, file: name, ranges } = command;
    const found = await this.#deps.engines.find(artifact, name);
    if (found === undefined) return this.#refuse(command, "gone");
    if (ranges.some(([offset, length]) => offset + length > found.sizeBytes)) return this.#refuse(command, "range");
    const file = await open(found.path, "r");
    try {
      for (const range of ranges) {
        if (answering.superseded) return;
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

function sameFile(a: UploadCommand, b: UploadCommand): boolean {
  return a.transfer === b.transfer && a.artifact === b.artifact && a.file === b.file;
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
