// Asks an inference server from a process of its own, so that its work is not the server's.
import { performance } from "node:perf_hooks";
import { RawClient } from "./raw-client.js";

/** What it is asked to do; the answer is a {@link LoadResult}. */
export interface Load {
  /** Clients share them out among themselves. */
  readonly urls: readonly string[];
  /** Whole requests, sent in turn. */
  readonly requests: readonly Buffer[];
  readonly clients: number;
  /** Answers wanted in all. */
  readonly count: number;
}

export interface LoadResult {
  readonly timesMs: readonly number[];
  readonly wallMs: number;
  /** Processor time of this process meanwhile. */
  readonly cpuMs: number;
}

process.on("message", (load: Load) => {
  run(load).then(
    (result) => process.send?.(result),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
});

async function run({ urls, requests, clients, count }: Load): Promise<LoadResult> {
  const timesMs: number[] = [];
  const open = await Promise.all(
    Array.from({ length: clients }, (_, at) => RawClient.open(urls[at % urls.length] ?? "")),
  );
  const bytes = requests.map((request) => Buffer.from(request));
  let asked = 0;
  const before = process.cpuUsage();
  const beginMs = performance.now();
  const work = async (client: RawClient) => {
    while (asked < count) {
      const request = bytes[asked % bytes.length] as Buffer;
      asked += 1;
      const askedMs = performance.now();
      const answer = await client.ask(request);
      timesMs.push(performance.now() - askedMs);
      if (!answer.toString("latin1", 0, 12).endsWith("200")) throw new Error(answer.toString("latin1", 0, 500));
    }
  };
  await Promise.all(open.map(work));
  const wallMs = performance.now() - beginMs;
  const { user, system } = process.cpuUsage(before);
  for (const client of open) client.close();
  return { timesMs, wallMs, cpuMs: (user + system) / 1000 };
}
