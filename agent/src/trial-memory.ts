import { rm } from "node:fs/promises";
import { type DeviceErrorCode, type DocStore, type Log, MusterError, sha256, TriedCandidate } from "@muster/shared";
import { LowdbDoc } from "@muster/shared/node";
import { z } from "zod";
import type { RunTrial } from "./ports.js";
import type { TrialRequest, TrialResult } from "./runner/protocol.js";
import { chooseCandidate } from "./runner/trial-choice.js";

const Remembered = z.object({
  entries: z.array(z.object({ key: z.string(), tried: z.array(TriedCandidate) })),
});
type Remembered = z.infer<typeof Remembered>;
type Variant = TrialRequest["variants"][number];

/** What a memory needs to know of a trial to know its figures. */
export type Question = Pick<TrialRequest, "manifest" | "candidates" | "machine"> & {
  readonly variants: readonly Pick<Variant, "name" | "artifact">[];
};

/** The variant that a trial would choose, when that is known already. */
export type Favourite = (question: Question) => Promise<string | undefined>;

/** Variants of which figures are kept; the oldest go first. */
export const maxRemembered = 64;
/** With these a candidate may fare better another time, so nothing is learnt of its variant. */
const passing: readonly DeviceErrorCode[] = ["E_CANCEL", "E_TIMEOUT", "E_INTERNAL", "E_HASH"];

export interface TrialMemoryDeps {
  readonly doc: DocStore<Remembered>;
  readonly trial: RunTrial;
  readonly log: Log;
}

/**
 * Keeps the figures of trials by artifact, by what was asked of it, and by machine. A version that comes back, or the same
 * file in another version, is then proven by its self-test alone.
 */
export class TrialMemory {
  readonly #deps: TrialMemoryDeps;
  #turn: Promise<void> = Promise.resolve();

  constructor(deps: TrialMemoryDeps) {
    this.#deps = deps;
  }

  /** Opens the file; one that is damaged is thrown away, for it only saves time. */
  static async open(path: string, deps: Omit<TrialMemoryDeps, "doc">): Promise<TrialMemory> {
    const doc = () => new LowdbDoc(path, Remembered, { entries: [] });
    const first = doc();
    try {
      await first.read();
      return new TrialMemory({ ...deps, doc: first });
    } catch (error) {
      if (!(error instanceof MusterError && error.code === "store/damaged")) throw error;
      deps.log.warn("trials.forgotten", { error });
      await rm(path, { force: true });
      return new TrialMemory({ ...deps, doc: doc() });
    }
  }

  /** A trial that asks the memory first. Its winner has to pass the self-test again; if it does not, all is tried anew. */
  readonly run: RunTrial = async (request, options) => {
    const known = await this.#recall(request);
    const chosen = known === undefined ? undefined : chooseCandidate(known);
    if (known !== undefined && chosen?.kind === "passed") {
      const { variant, provider, threads } = chosen;
      const again = { ...request, candidates: [{ variant, provider, threads }], measure: false };
      const result = await this.#deps.trial(again, options);
      if (result.kind === "passed") return { ...chosen, remembered: true };
      if (options.signal.aborted) return result;
      // Perhaps only this variant was fetched because it was known; the next attempt is to try them all.
      await this.#update((entries) => entries.filter(({ key }) => !keysOf(request).includes(key)));
    }
    const result = await this.#deps.trial(request, options);
    if (result.kind === "passed") await this.#keep(request, result);
    return result;
  };

  /** The variant that would win, when the figures of every candidate are known: then no other has to be fetched. */
  readonly favourite: Favourite = async (question) => {
    const known = await this.#recall(question);
    const chosen = known === undefined ? undefined : chooseCandidate(known);
    return chosen?.kind === "passed" ? chosen.variant : undefined;
  };

  /** The figures of every candidate, or undefined when one is not known. */
  async #recall(request: Question): Promise<TriedCandidate[] | undefined> {
    const { entries } = await this.#deps.doc.read();
    const known = request.candidates.map((candidate) => {
      const variant = request.variants.find(({ name }) => name === candidate.variant);
      const key = variant === undefined ? undefined : keyOf(request, variant);
      const tried = entries.find((entry) => entry.key === key)?.tried;
      const found = tried?.find((one) => one.provider === candidate.provider && one.threads === candidate.threads);
      return found === undefined ? undefined : { ...found, variant: candidate.variant };
    });
    return known.every((one) => one !== undefined) ? known : undefined;
  }

  #keep(request: TrialRequest, { tried }: TrialResult): Promise<void> {
    const fresh = request.variants.flatMap((variant) => {
      const own = tried.filter((one) => one.variant === variant.name);
      const lasting = own.every(({ rejected }) => rejected === undefined || !passing.includes(rejected.code));
      return own.length > 0 && lasting ? [{ key: keyOf(request, variant), tried: own }] : [];
    });
    return this.#update((entries) => {
      const others = entries.filter(({ key }) => !fresh.some((entry) => entry.key === key));
      return [...others, ...fresh].slice(-maxRemembered);
    });
  }

  /** One change after the other. What is not kept is measured again; a full disk must not fail a version that is proven. */
  #update(change: (entries: Remembered["entries"]) => Remembered["entries"]): Promise<void> {
    const { doc, log } = this.#deps;
    const updated = this.#turn.then(async () => doc.write({ entries: change((await doc.read()).entries) }));
    this.#turn = updated.catch((error) => log.warn("trials.not-kept", { error }));
    return this.#turn;
  }
}

function keysOf(request: TrialRequest): string[] {
  return request.variants.map((variant) => keyOf(request, variant));
}

/** What figures belong to. Names and numbers of the version are not part of it: only what is asked of the file is. */
function keyOf({ manifest, machine }: Question, { artifact }: Pick<Variant, "artifact">): string {
  const { model, version, release, createdMs, variants, baseline, requires, licence, metadata, ...asked } = manifest;
  return sha256(JSON.stringify([artifact, machine, asked]));
}
