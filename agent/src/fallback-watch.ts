import type { ReportedModel } from "@muster/shared";

/** Tells once when a model falls to a slower provider, and again when it falls anew. */
export class FallbackWatch {
  readonly #tell: (fields: Record<string, unknown>) => void;
  readonly #told = new Map<string, string>();

  constructor(tell: (fields: Record<string, unknown>) => void) {
    this.#tell = tell;
  }

  /** Looks at what a report says. */
  look(models: readonly ReportedModel[]): void {
    for (const { model, fallback, running } of models) {
      if (fallback === undefined) {
        this.#told.delete(model);
        continue;
      }
      const known = `${fallback.attempt} ${fallback.detail}`;
      if (this.#told.get(model) === known) continue;
      this.#told.set(model, known);
      this.#tell({ model, ...fallback, ...running });
    }
  }
}
