export type Point = readonly [x: number, y: number];

/** A rectangle that may be turned. */
export interface TurnedRectangle {
  readonly centre: Point;
  /** Along the direction. */
  readonly width: number;
  /** Across it. */
  readonly height: number;
  /** Unit vector of the width. */
  readonly along: Point;
}

/**
 * The rectangle of the smallest area around points: one of its sides lies on a side of their convex hull (Freeman and
 * Shapira, CACM 1975), so each is tried. Its width is the side nearer to the horizontal.
 */
export function smallestRectangle(points: readonly Point[]): TurnedRectangle {
  const hull = convexHull(points);
  let best: TurnedRectangle | undefined;
  for (const [at, from] of hull.entries()) {
    const to = hull[(at + 1) % hull.length] ?? from;
    const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
    if (length === 0) continue;
    const rectangle = around(hull, [(to[0] - from[0]) / length, (to[1] - from[1]) / length]);
    if (best === undefined || rectangle.width * rectangle.height < best.width * best.height) best = rectangle;
  }
  return upright(best ?? around(hull, [1, 0]));
}

/** The rectangle with every side moved outwards. */
export function grown(rectangle: TurnedRectangle, by: number): TurnedRectangle {
  return { ...rectangle, width: rectangle.width + 2 * by, height: rectangle.height + 2 * by };
}

/** Its corners, clockwise on a screen, from the one at the start of both directions. */
export function cornersOf({ centre: [x, y], width, height, along: [dx, dy] }: TurnedRectangle): Point[] {
  const corner = (w: number, h: number): Point => [
    x + (dx * w * width) / 2 - (dy * h * height) / 2,
    y + (dy * w * width) / 2 + (dx * h * height) / 2,
  ];
  return [corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1)];
}

function around(points: readonly Point[], along: Point): TurnedRectangle {
  const [dx, dy] = along;
  const u = points.map(([x, y]) => x * dx + y * dy);
  const v = points.map(([x, y]) => y * dx - x * dy);
  const [u0, u1, v0, v1] = [least(u), -least(u.map((one) => -one)), least(v), -least(v.map((one) => -one))];
  const [cu, cv] = [(u0 + u1) / 2, (v0 + v1) / 2];
  return { centre: [cu * dx - cv * dy, cu * dy + cv * dx], width: u1 - u0, height: v1 - v0, along };
}

function least(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
}

/** The same rectangle, its width the side that is nearer to the horizontal and its direction to the right. */
function upright({ centre, width, height, along: [dx, dy] }: TurnedRectangle): TurnedRectangle {
  if (Math.abs(dy) > Math.abs(dx)) return upright({ centre, width: height, height: width, along: [dy, -dx] });
  return { centre, width, height, along: dx < 0 ? [-dx, -dy] : [dx, dy] };
}

/** Andrew's monotone chain; points on an edge are left out. */
function convexHull(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const half = (ordered: readonly Point[]) => {
    const chain: Point[] = [];
    for (const point of ordered) {
      while (chain.length >= 2 && turn(chain.at(-2) as Point, chain.at(-1) as Point, point) <= 0) chain.pop();
      chain.push(point);
    }
    return chain.slice(0, -1);
  };
  const hull = [...half(sorted), ...half(sorted.toReversed())];
  return hull.length === 0 ? sorted.slice(0, 1) : hull;
}

function turn(a: Point, b: Point, c: Point): number {
  return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
}
