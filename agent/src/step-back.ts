import { readdirSync } from "node:fs";
import { constants, getPriority, setPriority } from "node:os";
import type { Log } from "@muster/shared";

/** As `nice` counts. A step gives about a quarter of a busy core away, so that the agent still gets on with its work. */
const steps = 5;
const last = 19;

/**
 * Lets the runner, which was started before, go first where both want a core: a transfer at full speed keeps this
 * process busy with decrypting, hashing and writing, and no application waits for it.
 */
export function stepBack(log: Log): void {
  const priority = Math.min(last, getPriority() + steps);
  let refused: unknown;
  for (const thread of threads()) {
    try {
      setPriority(thread, priority);
    } catch (error) {
      // A thread may have ended since it was listed; the others count all the same.
      if ((error as NodeJS.ErrnoException).errno !== -constants.errno.ESRCH) refused = error;
    }
  }
  if (refused !== undefined) log.warn("agent.priority.unchanged", { error: refused });
}

/** On Linux a priority is a thread's own, and those that write files and collect garbage have begun already. */
function threads(): number[] {
  return process.platform === "linux" ? readdirSync("/proc/self/task").map(Number) : [0];
}
