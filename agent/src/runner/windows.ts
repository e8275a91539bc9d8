import { type AnsweredInput, WindowFold } from "../core/window.js";
import type { LoadedSlot } from "./loaded-slot.js";
import type { RunnerWindow } from "./protocol.js";

/** What names a window: the version and where it ran. */
type Owner = Pick<LoadedSlot, "slot" | "running">;

/** The open windows of all versions; a version has one from its first input on. */
export class Windows {
  readonly #now: () => number;
  #open = new Map<string, { readonly owner: Owner; readonly fold: WindowFold }>();
  #sinceMs: number;

  constructor(now: () => number) {
    this.#now = now;
    this.#sinceMs = now();
  }

  /** An input got its answer. */
  answered(owner: Owner, input: AnsweredInput): void {
    this.#of(owner).answered(input);
  }

  /** The version failed on an input that was in order. */
  failed(owner: Owner): void {
    this.#of(owner).failed();
  }

  /** An input was refused because the queue was full. */
  dropped(owner: Owner): void {
    this.#of(owner).dropped();
  }

  /** Ends the open windows and gives them away. */
  take(rssBytes: number): RunnerWindow[] {
    const ended = [...this.#open.values()];
    const endMs = this.#now();
    this.#open = new Map();
    this.#sinceMs = endMs;
    return ended.map(({ owner: { slot, running }, fold }) => {
      const { model, version, manifestDigest: manifest } = slot;
      const { requested, actual } = running;
      const elsewhere = requested === actual ? {} : { requestedProvider: requested };
      return fold.end({ model, version, manifest, provider: actual, ...elsewhere, endMs, rssBytes });
    });
  }

  #of(owner: Owner): WindowFold {
    const known = this.#open.get(owner.slot.manifestDigest);
    if (known !== undefined) return known.fold;
    const fold = new WindowFold(owner.slot.manifest.baseline, this.#sinceMs);
    this.#open.set(owner.slot.manifestDigest, { owner, fold });
    return fold;
  }
}
