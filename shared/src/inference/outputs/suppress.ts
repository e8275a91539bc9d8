import { type Edges, overlap } from "./boxes.js";

/** Something a detector proposes, in pixels of the tensor. */
export interface Candidate {
  readonly edges: Edges;
  /** 0..1 */
  readonly score: number;
  /** Number of the class. */
  readonly klass: number;
}

export interface SuppressOptions {
  /** Of two that overlap by more than this the better one stays. */
  readonly iouThreshold: number;
  /** Compare boxes of different classes, too. */
  readonly acrossClasses: boolean;
  readonly maxObjects: number;
}

/** More candidates than this are not compared with each other: a broken model must not hold up a thread for minutes. */
const maxCompared = 3000;

/** Greedy non-maximum suppression: the best first, each that overlaps a better one too much left out. */
export function suppress(candidates: readonly Candidate[], options: SuppressOptions): Candidate[] {
  const { iouThreshold, acrossClasses, maxObjects } = options;
  const kept: Candidate[] = [];
  const best = [...candidates].sort((a, b) => b.score - a.score).slice(0, maxCompared);
  for (const next of best) {
    if (kept.length === maxObjects) break;
    const hidden = kept.some(
      (better) => (acrossClasses || better.klass === next.klass) && overlap(better.edges, next.edges) > iouThreshold,
    );
    if (!hidden) kept.push(next);
  }
  return kept;
}
