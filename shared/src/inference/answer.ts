/** The answer of a classifier. */
export interface ClassAnswer {
  readonly label: string;
  /** Score of the label, 0..1. */
  readonly confidence: number;
  /** The best classes, best first. */
  readonly classes: readonly { readonly label: string; readonly confidence: number }[];
}

/** What an application gets for one input; survives JSON. */
export type Answer = ClassAnswer;
