import type { Mask } from "../model/postprocess/segmentation.js";

/** A rectangle in pixels of the turned picture, before any resizing. */
export interface AnswerBox {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** The answer of a classifier. */
export interface ClassAnswer {
  readonly label: string;
  /** Score of the label, 0..1. */
  readonly confidence: number;
  /** The best classes, best first. */
  readonly classes: readonly { readonly label: string; readonly confidence: number }[];
}

/** The answer of a detector of objects, best first. */
export interface ObjectsAnswer {
  readonly objects: readonly { readonly label: string; readonly confidence: number; readonly box: AnswerBox }[];
}

/** The answer of a detector of lines of text, from top to bottom. */
export interface TextBoxesAnswer {
  readonly boxes: readonly {
    readonly confidence: number;
    /** Upright, around the corners. */
    readonly box: AnswerBox;
    /** Of the turned rectangle, clockwise. */
    readonly corners: readonly (readonly [number, number])[];
  }[];
}

/** The answer of a text recogniser. */
export interface TextAnswer {
  readonly text: string;
  /** Mean score of the characters; 0 without any. */
  readonly confidence: number;
}

/** The answer of a segmentation. */
export interface MaskAnswer {
  /** Share of the picture per class. */
  readonly shares: Readonly<Record<string, number>>;
  /** Covers the part of the picture that was used, in the resolution of the model; classes by their number. */
  readonly mask: Mask;
}

/** The answer of a regression. */
export interface ValuesAnswer {
  readonly values: Readonly<Record<string, number>>;
}

/** The answer of an anomaly detector. */
export interface AnomalyAnswer {
  readonly anomaly: boolean;
  readonly score: number;
  readonly threshold: number;
}

/** What was heard in a recording, in order of time. */
export interface EventsAnswer {
  readonly events: readonly {
    readonly label: string;
    readonly startMs: number;
    readonly endMs: number;
    /** The highest score within. */
    readonly confidence: number;
  }[];
}

/** Outputs as they are. */
export interface RawAnswer {
  readonly outputs: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly data: readonly number[];
  }[];
}

/** What an application gets for one input; survives JSON. */
export type Answer =
  | ClassAnswer
  | ObjectsAnswer
  | TextBoxesAnswer
  | TextAnswer
  | MaskAnswer
  | ValuesAnswer
  | AnomalyAnswer
  | EventsAnswer
  | RawAnswer;
