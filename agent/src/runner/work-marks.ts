import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { messageOf } from "@muster/shared";

/** A manifest digest in hex. */
const markBytes = 64;

/** The place where one engine thread says what it works on. */
export interface WorkMark {
  begin(): void;
  end(): void;
}

/** For engines that nobody looks after. */
export const noMark: WorkMark = { begin: () => undefined, end: () => undefined };

/**
 * What every engine thread works on, in a file: when native code takes the process along, the file still names the
 * version. Written without a sync, since the kernel outlives the process; a write takes some microseconds.
 */
export class WorkMarks {
  readonly #fd: number;
  readonly #free: number[] = [];
  #next = 0;

  /** Begins with an empty file. */
  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true });
    this.#fd = openSync(path, "w");
  }

  /**
   * A place for a thread that runs this version. It is used again once it was given back while not marked. The end of work is
   * written when this turn of the event loop is over, so that an answer need not wait for it, and not at all when work goes on.
   */
  of(manifestDigest: string): WorkMark & { release(): void } {
    const at = this.#free.pop() ?? this.#next++;
    const mark = Buffer.from(manifestDigest.padEnd(markBytes).slice(0, markBytes));
    const blank = Buffer.alloc(markBytes);
    let marked = false;
    let written = false;
    let later: NodeJS.Immediate | undefined;
    const write = (bytes: Buffer) => {
      clearImmediate(later);
      later = undefined;
      if (written !== marked) writeSync(this.#fd, bytes, 0, markBytes, at * markBytes);
      written = marked;
    };
    return {
      begin: () => {
        marked = true;
        write(mark);
      },
      end: () => {
        marked = false;
        later ??= setImmediate(write, blank);
      },
      // A thread that hangs keeps its place: it is still at work.
      release: () => {
        if (marked) return;
        write(blank);
        this.#free.push(at);
      },
    };
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** The file of the marks in the folder where a runner keeps its state. */
export function marksPath(stateDir: string): string {
  return join(stateDir, "engines");
}

/** The versions that were at work when the process ended, by their manifest digests. Empty when nothing was, or nobody knows. */
export function versionsAtWork(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, "latin1");
  } catch (error) {
    if (/ENOENT/.test(messageOf(error))) return [];
    throw error;
  }
  const marks = Array.from({ length: Math.ceil(text.length / markBytes) }, (_, at) =>
    text.slice(at * markBytes, (at + 1) * markBytes),
  );
  return [...new Set(marks.filter((mark) => /^[0-9a-f]{64}$/.test(mark)))];
}
