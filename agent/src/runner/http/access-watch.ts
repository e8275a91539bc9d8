import { type Clock, type Log, messageOf } from "@muster/shared";

/** Files that are read again while the runner serves. */
export interface Renewable {
  /** The setting that names the files. */
  readonly setting: string;
  /** Takes up what has changed, and says whether something has. Throws when it cannot be used, and changes nothing then. */
  refresh(): Promise<boolean>;
}

/** So long a renewed file may go unseen. */
const everyMs = 10_000;

/** Takes renewed files up without a restart. One that cannot be used is told, once for each reason; what was there stays. */
export function watchAccess(files: readonly Renewable[], { clock, log }: { clock: Clock; log: Log }): () => void {
  const stop = new AbortController();
  const told = new Map<string, string>();
  const look = async ({ setting, refresh }: Renewable): Promise<void> => {
    try {
      if (await refresh()) log.info("runner.access.renewed", { setting });
      told.delete(setting);
    } catch (error) {
      const reason = `${messageOf(error)}; what was read before goes on`;
      if (told.get(setting) !== reason) log.warn("runner.access.unusable", { setting, reason });
      told.set(setting, reason);
    }
  };
  const run = async () => {
    for (;;) {
      await clock.sleep(everyMs, stop.signal);
      for (const file of files) await look(file);
    }
  };
  // It ends only when it is stopped.
  if (files.length > 0) run().catch(() => undefined);
  return () => stop.abort();
}
