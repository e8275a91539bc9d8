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
export function regionsOf(map: Float32Array, size: MapSize, threshold: number, most: number): Region[] {
  const open = new Uint8Array(size.width * size.height);
  for (let at = 0; at < open.length; at += 1) if ((map[at] as number) >= threshold) open[at] = 1;
  const regions: Region[] = [];
  for (let start = open.indexOf(1); start !== -1 && regions.length < most; start = open.indexOf(1, start)) {
    regions.push(flood(open, size, start));
  }
  return regions;
}

/** Takes a region out of the open pixels, a run of neighbours in a row at a time. */
function flood(open: Uint8Array, { width, height }: MapSize, start: number): Region {
  const rows = new Map<number, [first: number, last: number]>();
  const found = [start];
  let pixels = 0;
  for (let at = found.pop(); at !== undefined; at = found.pop()) {
    if (open[at] !== 1) continue;
    const y = Math.floor(at / width);
    let [from, to] = [at, at];
    while (from > y * width && open[from - 1] === 1) from -= 1;
    while (to < (y + 1) * width - 1 && open[to + 1] === 1) to += 1;
    open.fill(0, from, to + 1);
    pixels += to + 1 - from;
    const [first, last] = rows.get(y) ?? [width, 0];
    rows.set(y, [Math.min(first, from - y * width), Math.max(last, to - y * width)]);
    if (y > 0)
      findRuns(open, found, Math.max((y - 1) * width, from - width - 1), Math.min(y * width - 1, to - width + 1));
    if (y + 1 < height) {
      findRuns(open, found, Math.max((y + 1) * width, from + width - 1), Math.min((y + 2) * width - 1, to + width + 1));
    }
  }
  return { pixels, outline: [...rows].flatMap(([y, [first, last]]) => cornersOfRow(y, first, last)) };
}

/** Adds one pixel of each run of open pixels from one place up to another, both included. */
function findRuns(open: Uint8Array, found: number[], from: number, to: number): void {
  for (let at = from; at <= to; at += 1) if (open[at] === 1 && (at === from || open[at - 1] !== 1)) found.push(at);
}

function cornersOfRow(y: number, first: number, last: number): [number, number][] {
  return [
    [first, y],
    [last + 1, y],
    [first, y + 1],
    [last + 1, y + 1],
  ];
}
