import { MusterError } from "@muster/shared";
import { networkOf } from "./network.js";

/** How failed attempts are slowed down. */
export interface AttemptLimits {
  /** So many are free. */
  readonly free: number;
  /** The pause after the first beyond them; it doubles with each. */
  readonly baseMs: number;
  readonly capMs: number;
  /** An address without a failure for so long is forgotten. */
  readonly forgetMs: number;
  /** Addresses remembered at most; the one that failed longest ago goes first. */
  readonly maxAddresses: number;
}

/** What suits secrets that cannot be guessed anyway: it keeps who tries from costing much. */
export const defaultAttemptLimits: AttemptLimits = {
  free: 10,
  baseMs: 1000,
  capMs: 60_000,
  forgetMs: 10 * 60_000,
  maxAddresses: 10_000,
};

/** Too many failed attempts came from an address. */
export class TooManyAttemptsError extends MusterError {
  readonly waitMs: number;

  constructor(waitMs: number) {
    const seconds = Math.ceil(waitMs / 1000);
    super("access/too-many-attempts", `too many failed attempts from this address; try again in ${seconds} s`);
    this.waitMs = waitMs;
  }
}

/** Counts failed attempts per address and says how long each has to wait. */
export class AttemptLimit {
  readonly #limits: AttemptLimits;
  /** In the order of their last failure. */
  readonly #failed = new Map<string, { count: number; lastMs: number }>();

  constructor(limits: AttemptLimits = defaultAttemptLimits) {
    this.#limits = limits;
  }

  /** Milliseconds until the address may try again; 0 for now. */
  waitMs(address: string, nowMs: number): number {
    const entry = this.#failed.get(networkOf(address));
    if (entry === undefined) return 0;
    const { free, baseMs, capMs, forgetMs } = this.#limits;
    if (nowMs - entry.lastMs > forgetMs) return 0;
    const beyond = entry.count - free;
    if (beyond < 0) return 0;
    return Math.max(0, entry.lastMs + Math.min(capMs, baseMs * 2 ** beyond) - nowMs);
  }

  /** The address failed; returns how often it has, with this. */
  failed(address: string, nowMs: number): number {
    const { forgetMs, maxAddresses } = this.#limits;
    const network = networkOf(address);
    const before = this.#failed.get(network);
    const count = before === undefined || nowMs - before.lastMs > forgetMs ? 1 : before.count + 1;
    this.#failed.delete(network);
    this.#failed.set(network, { count, lastMs: nowMs });
    if (this.#failed.size > maxAddresses) {
      for (const oldest of this.#failed.keys()) {
        this.#failed.delete(oldest);
        break;
      }
    }
    return count;
  }
}
