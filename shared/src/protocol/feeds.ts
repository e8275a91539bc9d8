import { z } from "zod";
import { ModelName } from "../ids.js";

/** `waiting`: it could work and something keeps it from it, which is said. `failed`: it does not work now, and tries again. */
export const FeedState = z.enum(["starting", "running", "waiting", "failed"]);
export type FeedState = z.infer<typeof FeedState>;

const count = z.int().min(0);
/** Where it takes from or gives to, without anything secret. */
const target = z.string().max(300);
const text = z.string().max(500);

/** How a source of inputs is. Counts are since the runner started. */
export const SourceReport = z.object({
  type: z.string().max(32),
  target,
  model: ModelName,
  state: FeedState,
  /** What it waits for. */
  reason: text.optional(),
  /** Inputs that were answered or given up. */
  taken: count,
  /** Inputs given up, of those taken. */
  failed: count,
  /** Inputs that were let go unseen, because newer ones came before the model was free. */
  dropped: count,
  lastError: text.optional(),
});
export type SourceReport = z.infer<typeof SourceReport>;

/** How a receiver of answers is. Counts are since the runner started. */
export const SinkReport = z.object({
  type: z.string().max(32),
  target,
  state: FeedState,
  /** Answers that wait to be handed over. */
  waiting: count,
  written: count,
  /** Answers that could not be written, or that the receiver refused for good. */
  failed: count,
  /** Answers let go because too many waited. */
  dropped: count,
  lastError: text.optional(),
});
export type SinkReport = z.infer<typeof SinkReport>;

/** As many sources, and as many sinks, may a device have. */
export const maxFeeds = 64;
