import { setTimeout } from "node:timers/promises";
import type { Clock } from "../ports.js";

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  steady: () => performance.now(),
  sleep: async (ms, signal) => {
    await setTimeout(ms, undefined, signal === undefined ? {} : { signal }).catch((error) => {
      throw signal?.aborted ? signal.reason : error;
    });
  },
};
