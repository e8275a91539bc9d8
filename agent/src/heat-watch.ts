import type { Clock, Log } from "@muster/shared";
import { throttlingOf } from "./facts/heat.js";
import { FactTree } from "./facts/tree.js";
import { isRunnerCrash } from "./faults.js";
import type { Runner } from "./ports.js";

export interface HeatDeps {
  readonly runner: Pick<Runner, "pauseShadows">;
  /** Tells the hub. */
  readonly tell: (kind: string, fields: Record<string, unknown>) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly tree?: FactTree;
}

const lookMs = 10_000;
/** A limit that somebody has set, or that is over, is no heat. */
const hot = /heat|temperature|throttles|voltage/;
const past = /since the start/;

/**
 * Tells when the device begins and ends to be slowed down by heat or by its power supply, and keeps the shadows still
 * meanwhile. Slowness alone sends no version back, so nothing is rolled back for it.
 */
export function watchHeat({ runner, tell, clock, log, tree = new FactTree() }: HeatDeps): () => Promise<void> {
  const stop = new AbortController();
  let times = 0;
  let sinceMs: number | undefined;
  const look = async () => {
    const reasons = (await throttlingOf(tree)).filter((text) => hot.test(text) && !past.test(text));
    const isHot = reasons.length > 0;
    // Said again at every look: a runner that was started again has forgotten it.
    if (isHot || sinceMs !== undefined) await runner.pauseShadows(isHot);
    if (isHot && sinceMs === undefined) {
      times += 1;
      sinceMs = clock.steady();
      log.warn("device.throttled", { reasons, times });
      await tell("device.throttled", { reasons, times });
    } else if (!isHot && sinceMs !== undefined) {
      const forMs = Math.round(clock.steady() - sinceMs);
      sinceMs = undefined;
      log.info("device.cooled", { forMs, times });
      await tell("device.cooled", { forMs, times });
    }
  };
  const run = async () => {
    while (!stop.signal.aborted) {
      // Without a runner there is no shadow either; the next look tells it.
      await look().catch((error) => {
        if (!isRunnerCrash(error)) log.warn("device.heat.unread", { error });
      });
      await clock.sleep(lookMs, stop.signal).catch(() => undefined);
    }
  };
  const running = run();
  return async () => {
    stop.abort();
    await running;
  };
}
