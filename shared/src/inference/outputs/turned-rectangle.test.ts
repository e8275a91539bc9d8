import assert from "node:assert/strict";
import { test } from "node:test";
import { cornersOf, grown, type Point, smallestRectangle } from "./turned-rectangle.js";

const turn = (points: readonly Point[], degrees: number): Point[] => {
  const [c, s] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  return points.map(([x, y]) => [x * c - y * s, x * s + y * c]);
};
const near = (actual: readonly number[], expected: readonly number[]) => {
  for (const [at, value] of actual.entries())
    assert.ok(Math.abs(value - (expected[at] ?? Number.NaN)) < 1e-9, `${actual} ≠ ${expected}`);
};

test("a turned rectangle of points is found at any angle, its width nearer to the horizontal", () => {
  const corners: Point[] = [
    [0, 0],
    [40, 0],
    [40, 10],
    [0, 10],
  ];
  const inner: Point[] = [
    [20, 5],
    [1, 1],
    [39, 9],
    [20, 0],
  ];
  for (const degrees of [0, 10, 44, -30]) {
    const rectangle = smallestRectangle(turn([...inner, ...corners], degrees));
    near([rectangle.width, rectangle.height], [40, 10]);
    near(cornersOf(rectangle).flat(), turn(corners, degrees).flat());
  }
  const steep = smallestRectangle(turn(corners, 80));
  near([steep.width, steep.height], [10, 40]);
});

test("a rectangle grows on every side", () => {
  const rectangle = grown(
    smallestRectangle([
      [0, 0],
      [4, 0],
      [4, 2],
      [0, 2],
    ]),
    1,
  );
  near(cornersOf(rectangle).flat(), [-1, -1, 5, -1, 5, 3, -1, 3]);
});

test("one point and points on a line have a rectangle without area", () => {
  near(cornersOf(smallestRectangle([[3, 4]])).flat(), [3, 4, 3, 4, 3, 4, 3, 4]);
  const line = smallestRectangle([
    [0, 0],
    [2, 0],
    [1, 0],
  ]);
  near([line.width, line.height], [2, 0]);
});
