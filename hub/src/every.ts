import type { Log } from "@muster/shared";

/** Does the work again and again with a pause between; a failure is told and does not end it. Returns how to stop. */
export function every(pauseMs: number, work: () => Promise<unknown>, log: Log, name: string): () => Promise<void> {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  const again = () => {
    timer = setTimeout(() => {
      running = work()
        .then(
          () => undefined,
          (error) => log.error(`${name}.failed`, { error }),
        )
        .then(() => {
          if (!stopped) again();
        });
    }, pauseMs);
  };
  again();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await running;
  };
}
