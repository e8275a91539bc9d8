/** Bytes of a blob that are wanted as one piece. */
export interface Piece {
  readonly blob: string;
  /** Bytes from the start of the blob. */
  readonly offset: number;
  readonly length: number;
}

/** Pieces that lie one behind the other in one blob, in their order: one read of the disk gives them all. */
export function joinReads<P extends Piece>(pieces: readonly P[], atMost: number): P[][] {
  const reads: P[][] = [];
  for (const piece of pieces) {
    const read = reads.at(-1);
    const last = read?.at(-1);
    const follows = last !== undefined && last.blob === piece.blob && last.offset + last.length === piece.offset;
    if (read !== undefined && follows && read.length < atMost) read.push(piece);
    else reads.push([piece]);
  }
  return reads;
}
