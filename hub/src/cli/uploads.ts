import { formatBytes } from "@muster/shared";
import type { ApiClient } from "./api-client.js";
import type { BundleFile } from "./bundle-files.js";
import { ProgressBar, QuarterLines } from "./progress.js";
import type { Session } from "./session.js";

/** So many files are on their way at a time. */
const atOnce = 8;
/** Without a terminal, progress is told only of transfers that take a while. */
const largeBytes = 20_000_000;

/** Sends the files the hub does not have yet. Returns how many those were and how large. */
export async function sendFiles(
  api: Pick<ApiClient, "has" | "upload">,
  files: readonly BundleFile[],
  session: Session,
): Promise<{ files: number; sizeBytes: number }> {
  const unique = [...new Map(files.map((file) => [file.digest, file])).values()];
  const counter = new Counter(unique, session);
  const sent: BundleFile[] = [];
  const known = new Set<string>();
  try {
    await eachOf(unique, async (file, signal) => {
      if (await api.has(file.digest, signal)) known.add(file.digest);
      else {
        await api.upload({ ...file, onSent: (bytes) => counter.sent(file.digest, bytes) }, signal);
        sent.push(file);
      }
      counter.sent(file.digest, file.sizeBytes);
    });
  } finally {
    counter.end();
  }
  const sizeBytes = sent.reduce((sum, file) => sum + file.sizeBytes, 0);
  return { files: files.filter(({ digest }) => !known.has(digest)).length, sizeBytes };
}

/** Runs the work on every item, a few at a time. The first failure stops the others and is thrown. */
async function eachOf<T>(items: readonly T[], work: (item: T, signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) {
      stop.signal.throwIfAborted();
      await work(item, stop.signal);
    }
  };
  const workers = Array.from({ length: Math.min(atOnce, items.length) }, () =>
    worker().catch((error) => {
      stop.abort(error);
      throw error;
    }),
  );
  const [first] = (await Promise.allSettled(workers)).filter((result) => result.status === "rejected");
  if (first !== undefined) throw stop.signal.reason;
}

/** Adds up what has been sent and shows it. */
class Counter {
  readonly #totalBytes: number;
  readonly #sentBytes = new Map<string, number>();
  readonly #bar: ProgressBar;
  readonly #lines: QuarterLines | undefined;

  constructor(files: readonly BundleFile[], { io, json }: Session) {
    this.#totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    this.#bar = new ProgressBar(io.err, io.clock);
    const silent = json || io.err.isTerminal || this.#totalBytes < largeBytes;
    this.#lines = silent ? undefined : new QuarterLines(io.err);
  }

  sent(digest: string, bytes: number): void {
    this.#sentBytes.set(digest, bytes);
    const done = [...this.#sentBytes.values()].reduce((sum, part) => sum + part, 0);
    const share = this.#totalBytes === 0 ? 1 : done / this.#totalBytes;
    const text = `${formatBytes(done)} of ${formatBytes(this.#totalBytes)} at the hub`;
    this.#bar.draw(share, text);
    this.#lines?.report(share, text);
  }

  end(): void {
    this.#bar.clear();
  }
}
