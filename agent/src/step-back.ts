import { readdirSync } from "node:fs";
import { getPriority, setPriority } from "node:os";
import type { Log } from "@muster/shared";

/** As `nice` counts. A step gives about a quarter of a busy core away, so that the agent still gets on with its work. */
const steps = 5;
const last = 19;

/**
 * Lets the runner, which was started before, go first where both want a core: a transfer at full speed keeps this
 * process busy with decrypting, hashing and writing, and no application waits for it.
 */
export function stepBack(log: Log): void {
  try {
    const priority = Math.min(last, getPriority() + steps);
    for (const thread of threads()) setPriority(thread, priority);
  } catch (error) {
    log.warn("agent.priority.unchanged", { error });
  }
}

/** On Linux a priority is a thread's own, and those that write files and collect garbage have begun already. */
function threads(): number[] {
  return process.platform === "linux" ? readdirSync("/proc/self/task").map(Number) : [0];
}
