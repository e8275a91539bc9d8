/** How many inputs may wait for one of so many models: its own limit, and no more than its part of the limit of all. */
export function queueShare(perModel: number, inAll: number, models: number): number {
  return Math.min(perModel, Math.max(1, Math.floor(inAll / Math.max(1, models))));
}

/** From this part on, a holder leaves as much free for others. */
const reservedPart = 0.25;

/**
 * Bytes that may be used in all by somebody who would hold so many. Who holds much leaves a part free, as far as the largest
 * piece has room without it: one model that answers nothing must not shut the others out.
 */
export function usableBytes(maxBytes: number, largestBytes: number, heldBytes: number): number {
  const reserved = maxBytes * reservedPart;
  return heldBytes <= reserved ? maxBytes : Math.max(maxBytes - reserved, Math.min(maxBytes, largestBytes));
}
