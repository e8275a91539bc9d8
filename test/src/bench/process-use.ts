import { readdir, readFile } from "node:fs/promises";

/** What a process takes of the machine, as Linux tells it. */
export interface ProcessUse {
  /** Pages of it in memory, those it shares with other processes included; MB. */
  readonly rssMb: number;
  /** The same, each page divided by the number of processes that share it; MB. */
  readonly pssMb: number;
  /** Processor time since its start, all threads; ms. */
  readonly cpuMs: number;
}

/** The use of a process now. */
export async function useOf(pid: number): Promise<ProcessUse> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
  const mb = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1]) / 1024;
  return { rssMb: mb("Rss"), pssMb: mb("Pss"), cpuMs: await cpuMsOf(pid) };
}

/** Per thread in nanoseconds: the ticks in `stat` are too coarse for a process that sleeps. */
async function cpuMsOf(pid: number): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`);
  const times = threads.map(async (thread) => {
    const text = await readFile(`/proc/${pid}/task/${thread}/schedstat`, "utf8").catch(() => "0");
    return Number(text.split(" ")[0]) / 1e6;
  });
  return (await Promise.all(times)).reduce((a, b) => a + b, 0);
}
