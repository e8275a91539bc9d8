import { DurationHistogram } from "../core/duration-histogram.js";
import { type AnsweredInput, type ShadowCount, WindowFold } from "../core/window.js";
import type { LoadedSlot } from "./loaded-slot.js";
import type { RunnerWindow } from "./protocol.js";

/** What names a window: the version and where it ran. */
type Owner = Pick<LoadedSlot, "slot" | "running">;

/** What one version did since the runner started. */
export interface Totals {
  readonly labels: { readonly model: string; readonly version: string };
  inputs: number;
  errors: number;
  dropped: number;
  /** From bytes to answer, of the inputs that were answered. */
  readonly durations: DurationHistogram;
  /** The parts of that, summed, milliseconds. */
  readonly stagesMs: Record<(typeof partStages)[number], number>;
}

/** What the time from bytes to answer is made of. */
export const partStages = ["pre", "queue", "run", "post"] as const;

/** The totals of so many versions are kept; those that worked last. */
const maxTotals = 100;

/** The open windows of all versions; a version has one from its first input on. */
export class Windows {
  readonly #now: () => number;
  #open = new Map<string, { readonly owner: Owner; readonly fold: WindowFold }>();
  readonly #totals = new Map<string, Totals>();
  #sinceMs: number;

  constructor(now: () => number) {
    this.#now = now;
    this.#sinceMs = now();
  }

  /** An input got its answer. */
  answered(owner: Owner, input: AnsweredInput): void {
    this.#of(owner).answered(input);
    const totals = this.#totalsOf(owner);
    totals.inputs += 1;
    totals.durations.add(input.stages.total);
    for (const stage of partStages) totals.stagesMs[stage] += input.stages[stage];
  }

  /** The version failed on an input that was in order. */
  failed(owner: Owner): void {
    this.#of(owner).failed();
    const totals = this.#totalsOf(owner);
    totals.inputs += 1;
    totals.errors += 1;
  }

  /** An input was refused because the queue was full, or not answered in time. */
  dropped(owner: Owner): void {
    this.#of(owner).dropped();
    this.#totalsOf(owner).dropped += 1;
  }

  /** An input that version `of` answered was given to this one, too, or was not because there was no room. */
  shadowed(owner: Owner, of: string, how: ShadowCount): void {
    this.#of(owner).shadowed(of, how);
  }

  /** What every version did since the start; it does not end with a window. */
  totals(): readonly Totals[] {
    return [...this.#totals.values()];
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

  #totalsOf({ slot: { manifestDigest, model, version } }: Owner): Totals {
    const known = this.#totals.get(manifestDigest);
    if (known !== undefined) return known;
    const times = { durations: new DurationHistogram(), stagesMs: { pre: 0, queue: 0, run: 0, post: 0 } };
    const totals = { labels: { model, version }, inputs: 0, errors: 0, dropped: 0, ...times };
    this.#totals.set(manifestDigest, totals);
    const [oldest] = this.#totals.keys();
    if (this.#totals.size > maxTotals && oldest !== undefined) this.#totals.delete(oldest);
    return totals;
  }

  #of(owner: Owner): WindowFold {
    const known = this.#open.get(owner.slot.manifestDigest);
    if (known !== undefined) return known.fold;
    const fold = new WindowFold(owner.slot.manifest.baseline, this.#sinceMs);
    this.#open.set(owner.slot.manifestDigest, { owner, fold });
    return fold;
  }
}
