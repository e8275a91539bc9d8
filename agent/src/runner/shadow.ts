import type { ShadowPlan } from "@muster/shared";
import type { Answer } from "@muster/shared/inference";
import { budgetAt, type Spending } from "../core/shadow.js";
import { agree } from "./agreement.js";
import type { LoadedSlot } from "./loaded-slot.js";
import type { Slots } from "./slots.js";
import { Ticket } from "./ticket.js";
import type { Windows } from "./windows.js";

interface Running {
  readonly plan: ShadowPlan;
  readonly manifestDigest: string;
  budget: Spending;
  busy: boolean;
}

export interface ShadowDeps {
  readonly slots: Slots;
  readonly windows: Windows;
  /** 0 up to 1. */
  readonly random: () => number;
}

/**
 * Gives candidates a copy of some inputs after the serving version has answered them, and compares. One input at a time and
 * none that would have to wait: nobody waits for a shadow, and what does not fit its budget is skipped and counted.
 */
export class Shadows {
  readonly #deps: ShadowDeps;
  readonly #running = new Map<string, Running>();
  #paused = false;

  constructor(deps: ShadowDeps) {
    this.#deps = deps;
  }

  /** Begins to shadow a loaded version of a model. Throws `model/unknown`. */
  begin(manifestDigest: string, plan: ShadowPlan): void {
    const { model } = this.#deps.slots.loaded(manifestDigest).slot;
    const budget = { atMs: performance.now(), leftMs: 0 };
    this.#running.set(model, { plan, manifestDigest, budget, busy: false });
  }

  /** While the device is too hot nothing runs in the shadow. */
  pause(paused: boolean): void {
    this.#paused = paused;
  }

  /**
   * Takes a copy of an input that the serving version is about to answer, if it is one of the sample and fits the budget.
   * What is returned has to be called once, with the answers or without when there are none.
   */
  take(by: LoadedSlot, bytes: Uint8Array, contentType: string): ((answers?: readonly Answer[]) => void) | undefined {
    const shadow = this.#running.get(by.slot.model);
    if (shadow === undefined) return undefined;
    const candidate = this.#candidate(shadow, by);
    if (candidate === undefined || this.#deps.random() >= shadow.plan.share) return undefined;
    shadow.budget = budgetAt(shadow.budget, shadow.plan.cpuShare, performance.now());
    if (this.#paused || shadow.busy || shadow.budget.leftMs <= 0) {
      this.#deps.windows.shadowed(candidate, by.slot.version, "skipped");
      return undefined;
    }
    shadow.busy = true;
    // The engine thread may take the bytes along, and their memory is used again.
    const copy = new Uint8Array(bytes);
    return (answers) => {
      if (answers === undefined) shadow.busy = false;
      else void this.#compare(shadow, candidate, by, { bytes: copy, contentType, answers });
    };
  }

  /** A version that serves by now, or is gone, is no candidate any more. */
  #candidate({ manifestDigest }: Running, by: LoadedSlot): LoadedSlot | undefined {
    const { slots } = this.#deps;
    const { model } = by.slot;
    const candidate = slots.versions(model).find(({ slot }) => slot.manifestDigest === manifestDigest);
    if (candidate !== undefined && candidate !== by && !slots.serves(candidate)) return candidate;
    this.#running.delete(model);
    return undefined;
  }

  async #compare(
    shadow: Running,
    candidate: LoadedSlot,
    by: LoadedSlot,
    input: { bytes: Uint8Array; contentType: string; answers: readonly Answer[] },
  ): Promise<void> {
    const { windows } = this.#deps;
    const beganMs = performance.now();
    try {
      const { bytes, contentType } = input;
      const { result, decodedMs } = await candidate.admit(() => candidate.answer(bytes, contentType, new Ticket()));
      const { preMs, runMs, postMs } = result.times;
      const pre = decodedMs - beganMs + preMs;
      shadow.budget = { ...shadow.budget, leftMs: shadow.budget.leftMs - pre - runMs - postMs };
      const total = performance.now() - beganMs;
      const stages = { pre, queue: Math.max(0, total - pre - runMs - postMs), run: runMs, post: postMs, total };
      for (const [at, { label, features }] of result.rows.entries()) {
        const [other, answer] = [input.answers[at], result.answers?.[at]];
        windows.answered(candidate, { ...(label === undefined ? {} : { label }), features, stages });
        const same = other !== undefined && answer !== undefined && agree(other, answer);
        windows.shadowed(candidate, by.slot.version, same ? "agreed" : "differed");
      }
    } catch {
      // What the serving version could answer, the candidate has to be able to.
      shadow.budget = { ...shadow.budget, leftMs: shadow.budget.leftMs - (performance.now() - beganMs) };
      windows.failed(candidate);
      windows.shadowed(candidate, by.slot.version, "differed");
    } finally {
      shadow.busy = false;
    }
  }
}
