import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { constants, getPriority, setPriority } from "node:os";
import { basename } from "node:path";
import { mayReturnTo } from "../core/thread-rank.js";

/** Of nice values: a third of the processor time of a thread that serves, and never long before it when it wakes. */
const steps = 5;

/**
 * Does work for which nobody waits after what the other threads do, then gives this thread and those that the work started
 * their rank back. Without the right to give it back (see docs/raspberry-pi.md), and elsewhere than on Linux, where threads
 * have no rank of their own, the work is done as it is. `onRefused` is told when the rank was not given back all the same.
 */
export async function stepAside<T>(work: () => Promise<T>, onRefused: (reason: unknown) => void): Promise<T> {
  const own = ownThread();
  if (own === undefined) return work();
  const { thread, nice } = own;
  const before = new Set(threads());
  const aside = Math.min(19, nice + steps);
  setPriority(thread, aside);
  try {
    return await work();
  } finally {
    for (const one of threads()) if (one === thread || !before.has(one)) restore(one, aside, nice, onRefused);
  }
}

/** This thread and its nice value, when it may return to it. */
function ownThread(): { readonly thread: number; readonly nice: number } | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    const thread = Number(basename(readlinkSync("/proc/thread-self")));
    const nice = getPriority(thread);
    const text = (name: string) => readFileSync(`/proc/self/${name}`, "utf8");
    const texts = { status: text("status"), limits: text("limits"), uid_map: text("uid_map") };
    return mayReturnTo(nice, texts) ? { thread, nice } : undefined;
  } catch {
    // Where /proc is not there to be read, nothing is changed.
    return undefined;
  }
}

function threads(): number[] {
  return readdirSync("/proc/self/task").map(Number);
}

function restore(thread: number, from: number, to: number, onRefused: (reason: unknown) => void): void {
  try {
    if (getPriority(thread) === from) setPriority(thread, to);
  } catch (error) {
    // It may have ended.
    if ((error as NodeJS.ErrnoException).errno !== -constants.errno.ESRCH) onRefused(error);
  }
}
