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
    setPriority(Math.min(last, getPriority() + steps));
  } catch (error) {
    log.warn("agent.priority.unchanged", { error });
  }
}
