import { binCount, binOf, type Feature, Sketch, type Stage, stages } from "@muster/shared";
import type { RunnerWindow } from "../runner/protocol.js";

/** One input that got its answer. */
export interface AnsweredInput {
  /** Absent for tasks without classes. */
  readonly label?: string;
  /** Milliseconds per stage. */
  readonly stages: Readonly<Record<Stage, number>>;
  /** Values of the features that are known of this input; a tensor, for example, has no brightness. */
  readonly features: Readonly<Record<string, number | string>>;
}

/** What became of an input in the shadow. */
export type ShadowCount = "agreed" | "differed" | "skipped";

/** Whose window it is, and the facts of its end. */
export type WindowFacts = Pick<
  RunnerWindow,
  "model" | "version" | "manifest" | "provider" | "requestedProvider" | "endMs" | "rssBytes"
>;

/** Folds what one version did into the summary of a span of time; its size does not grow with the inputs. */
export class WindowFold {
  readonly #startMs: number;
  readonly #baseline: Readonly<Record<string, Feature>>;
  readonly #stages = new Map<Stage, Sketch>();
  readonly #classes = new Map<string, number>();
  readonly #features = new Map<string, number[]>();
  #shadow: RunnerWindow["shadow"];
  #inputs = 0;
  #errors = 0;
  #dropped = 0;

  /** Features are counted in the bins of the baseline; one that the baseline does not have is not counted. */
  constructor(baseline: Readonly<Record<string, Feature>>, startMs: number) {
    this.#baseline = baseline;
    this.#startMs = startMs;
  }

  /** Takes in an input and its answer. */
  answered(input: AnsweredInput): void {
    this.#inputs += 1;
    if (input.label !== undefined) this.#classes.set(input.label, (this.#classes.get(input.label) ?? 0) + 1);
    for (const stage of stages) {
      const sketch = this.#stages.get(stage) ?? new Sketch();
      sketch.add(input.stages[stage]);
      this.#stages.set(stage, sketch);
    }
    for (const [name, feature] of Object.entries(this.#baseline)) this.#count(name, feature, input.features[name]);
  }

  /** Takes in an input on which the version failed. It counts as an input, too, so that errors / inputs is a share. */
  failed(): void {
    this.#inputs += 1;
    this.#errors += 1;
  }

  /** Takes in an input that was refused because the queue was full; it is none of the inputs. */
  dropped(): void {
    this.#dropped += 1;
  }

  /** Takes in what became of an input that another version answered and this one ran in its shadow. */
  shadowed(of: string, how: ShadowCount): void {
    const before = this.#shadow?.of === of ? this.#shadow : { of, compared: 0, agreed: 0, skipped: 0 };
    this.#shadow = {
      of,
      compared: before.compared + (how === "skipped" ? 0 : 1),
      agreed: before.agreed + (how === "agreed" ? 1 : 0),
      skipped: before.skipped + (how === "skipped" ? 1 : 0),
    };
  }

  /** The window as it is told to the hub. */
  end(facts: WindowFacts): RunnerWindow {
    return {
      ...facts,
      startMs: this.#startMs,
      inputs: this.#inputs,
      errors: this.#errors,
      dropped: this.#dropped,
      classes: Object.fromEntries(this.#classes),
      stages: Object.fromEntries([...this.#stages].map(([stage, sketch]) => [stage, sketch.toJSON()])),
      features: Object.fromEntries(this.#features),
      ...(this.#shadow === undefined ? {} : { shadow: this.#shadow }),
    };
  }

  #count(name: string, feature: Feature, value: number | string | undefined): void {
    if (value === undefined) return;
    const counts = this.#features.get(name) ?? new Array<number>(binCount(feature)).fill(0);
    const bin = binOf(feature, value);
    counts[bin] = (counts[bin] ?? 0) + 1;
    this.#features.set(name, counts);
  }
}
