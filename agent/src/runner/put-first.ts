import type { ChildProcess } from "node:child_process";
import { getPriority, setPriority } from "node:os";
import { type Log, messageOf } from "@muster/shared";

/**
 * Gives a process that was just started a nice value: it begins with the one of its parent, and the agent may have stepped
 * back since it began. Only root may, or who has a limit that allows it (RLIMIT_NICE); else the process stays as low as the
 * agent is, and the log says so.
 */
export function putFirst({ pid }: ChildProcess, nice: number, log: Pick<Log, "info">): void {
  if (pid === undefined || getPriority() === nice) return;
  try {
    setPriority(pid, nice);
  } catch (error) {
    log.info("runner.priority.low", { pid, reason: messageOf(error) });
  }
}
