/** Pixels that belong together, as their outline: the first and last pixel of each row. */
export interface Region {
  readonly pixels: number;
  /** Corner points of the pixels at the ends of each row. */
  readonly outline: readonly (readonly [number, number])[];
}

export interface MapSize {
  readonly width: number;
  readonly height: number;
}

/**
 * The connected regions (8 neighbours) of the pixels at or above a threshold, in the order of their first pixel. At most
 * `most` are returned.
 */
export function regionsOf(map: Float32Array, { width, height }: MapSize, threshold: number, most: number): Region[] {
  const seen = new Uint8Array(width * height);
  const regions: Region[] = [];
  for (let start = 0; start < seen.length && regions.length < most; start += 1) {
    if (seen[start] === 1 || !((map[start] as number) >= threshold)) continue;
    regions.push(flood(map, { width, height }, threshold, seen, start));
  }
  return regions;
}

function flood(
  map: Float32Array,
  { width, height }: MapSize,
  threshold: number,
  seen: Uint8Array,
  start: number,
): Region {
  const rows = new Map<number, [first: number, last: number]>();
  const open = [start];
  seen[start] = 1;
  let pixels = 0;
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    pixels += 1;
    const x = at % width;
    const y = (at - x) / width;
    const row = rows.get(y);
    if (row === undefined) rows.set(y, [x, x]);
    else {
      if (x < row[0]) row[0] = x;
      if (x > row[1]) row[1] = x;
    }
    for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny += 1) {
      for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx += 1) {
        const next = ny * width + nx;
        if (seen[next] === 1 || !((map[next] as number) >= threshold)) continue;
        seen[next] = 1;
        open.push(next);
      }
    }
  }
  const outline = [...rows].flatMap(([y, [first, last]]): [number, number][] => [
    [first, y],
    [last + 1, y],
    [first, y + 1],
    [last + 1, y + 1],
  ]);
  return { pixels, outline };
}
