import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Way } from "./getting.js";
import { median } from "./measure.js";

/** What a way of getting the file took. */
interface Figures {
  readonly mbPerSecond: number;
  /** Processor seconds of the giving process per 10⁹ bytes. */
  readonly cpuPerGb: number;
  readonly rssMb: number;
}

/** What comes first does not count: a hub runs for long, and V8 has to have seen some before its code is fast. */
const warmUpMb = 100;
const maxWarmUps = 5;

/** What a device says when it comes is said after so long. */
const greetingMs = 200;

/** What each way takes, in rounds in which they take turns. */
export async function measure<Ways extends readonly Way[]>(
  ways: Ways,
  folder: string,
  rounds: number,
  sizeMb: number,
): Promise<{ [At in keyof Ways]: Figures }> {
  const givers: Giver[] = [];
  try {
    for (const way of ways) givers.push(await Giver.start(way, folder));
    const warmUps = Math.min(maxWarmUps, Math.ceil(warmUpMb / sizeMb));
    for (let round = 1 - warmUps; round <= rounds; round += 1)
      for (const giver of givers) await giver.give(round, sizeMb);
    return givers.map((giver) => giver.figures) as { [At in keyof Ways]: Figures };
  } finally {
    for (const giver of givers) giver.close();
  }
}

/** The process that gives the file away in one of the ways. */
class Giver {
  readonly #way: Way;
  readonly #process: ChildProcess;
  readonly #port: number;
  readonly #speeds: number[] = [];
  readonly #cpu: number[] = [];
  #rssBytes = 0;

  private constructor(way: Way, process: ChildProcess, port: number) {
    this.#way = way;
    this.#process = process;
    this.#port = port;
  }

  static async start(way: Way, folder: string): Promise<Giver> {
    const child = forkGiver(way.kind, folder);
    const [{ port }] = (await once(child, "message")) as [{ port: number }];
    return new Giver(way, child, port);
  }

  get figures(): Figures {
    const { length } = this.#speeds;
    if (length === 0) throw new Error("nothing was measured");
    return { mbPerSecond: median(this.#speeds), cpuPerGb: median(this.#cpu), rssMb: this.#rssBytes / 1e6 };
  }

  /** Gives it once; a round up to 0 does not count. */
  async give(round: number, sizeMb: number): Promise<void> {
    const ready = await this.#way.begin(this.#port, round);
    await sleep(greetingMs);
    const before = await ask(this.#process);
    const beginMs = performance.now();
    await ready.fetch();
    const ms = performance.now() - beginMs;
    const after = await ask(this.#process);
    await ready.close();
    if (round <= 0) return;
    this.#speeds.push(sizeMb / (ms / 1000));
    this.#cpu.push((after.cpuUs - before.cpuUs) / 1e6 / (sizeMb / 1000));
    this.#rssBytes = Math.max(this.#rssBytes, after.rssBytes);
  }

  close(): void {
    this.#process.kill();
  }
}

/** A process that gives the file away; its first message tells the port. */
export function forkGiver(kind: string, folder: string, ...more: readonly string[]): ChildProcess {
  const script = fileURLToPath(new URL("./transfer-hub.js", import.meta.url));
  return fork(script, [kind, folder, ...more], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
}

export async function ask(child: ChildProcess): Promise<{ cpuUs: number; rssBytes: number }> {
  const told = once(child, "message") as Promise<[{ cpuUs: number; rssBytes: number }]>;
  child.send("cpu");
  return (await told)[0];
}
