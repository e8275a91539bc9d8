import { type Clock, MusterError } from "@muster/shared";
import { type EngineWaitFacts, whyBuild } from "./core/engine-wait.js";
import type { ChunkLink } from "./ports.js";
import type { TransferProgress } from "./transfer.js";

export interface EngineWaitDeps {
  readonly link: Pick<ChunkLink, "connected">;
  readonly clock: Clock;
}

const lookMs = 1000;

/** A fetch that is going on. */
interface Fetching {
  readonly beganMs: number;
  leftBytes: number;
  paused: string | undefined;
}

/** Keeps an eye on the time that the engines of one offer take, one after the other, by the rule {@link whyBuild}. */
export class EngineWait {
  readonly #deps: EngineWaitDeps;
  readonly #beganMs: number;
  #fetching: Fetching | undefined;
  /** With what came of engines before. */
  #spentMs = 0;
  #cameBytes = 0;
  /** When the link was first seen to be gone. */
  #goneSinceMs: number | undefined;

  constructor(deps: EngineWaitDeps) {
    this.#deps = deps;
    this.#beganMs = deps.clock.steady();
  }

  /**
   * Does the work for one engine; its signal is given when the engine is better built here, and that is thrown then as
   * `transfer/stalled` with the reason. Throws what the work throws.
   */
  async watch<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const [end, over] = [new AbortController(), new AbortController()];
    const watching = this.#look(end, over.signal);
    try {
      return await work(end.signal);
    } catch (error) {
      end.signal.throwIfAborted();
      throw error;
    } finally {
      over.abort();
      await watching;
    }
  }

  /**
   * Does work that fetches so many bytes. Of each file it asks for a listener, and tells that how far the file is; what is there
   * when it is first told came before.
   */
  async fetching(
    bytes: number,
    work: (listener: () => (progress: TransferProgress) => void) => Promise<void>,
  ): Promise<void> {
    const { clock } = this.#deps;
    const fetching: Fetching = { beganMs: clock.steady(), leftBytes: bytes, paused: undefined };
    this.#fetching = fetching;
    const listener = () => {
      let hereBytes: number | undefined;
      return ({ doneBytes, paused }: TransferProgress) => {
        if (hereBytes !== undefined) this.#cameBytes += doneBytes - hereBytes;
        fetching.leftBytes -= doneBytes - (hereBytes ?? 0);
        fetching.paused = paused;
        hereBytes = doneBytes;
      };
    };
    try {
      await work(listener);
    } finally {
      this.#spentMs += clock.steady() - fetching.beganMs;
      this.#fetching = undefined;
    }
  }

  async #look(end: AbortController, over: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (!over.aborted) {
      const why = whyBuild(this.#facts());
      if (why !== undefined) return end.abort(new MusterError("transfer/stalled", why));
      await clock.sleep(lookMs, over).catch(() => undefined);
    }
  }

  #facts(): EngineWaitFacts {
    const { link, clock } = this.#deps;
    const nowMs = clock.steady();
    const elapsedMs = nowMs - this.#beganMs;
    this.#goneSinceMs = link.connected ? undefined : (this.#goneSinceMs ?? nowMs);
    if (this.#fetching === undefined) return { elapsedMs };
    const { beganMs, leftBytes, paused } = this.#fetching;
    const spentMs = this.#spentMs + nowMs - beganMs;
    const goneMs = nowMs - (this.#goneSinceMs ?? nowMs);
    return { elapsedMs, fetch: { spentMs, cameBytes: this.#cameBytes, leftBytes, goneMs, paused } };
  }
}
