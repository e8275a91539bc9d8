import assert from "node:assert/strict";
import { test } from "node:test";
import { chiSquareQuantile, normalQuantile } from "./quantile.js";

test("normal quantiles are those of the tables", () => {
  const table = {
    0.5: 0,
    0.75: 0.67449,
    0.9: 1.281552,
    0.975: 1.959964,
    0.99: 2.326348,
    0.999: 3.090232,
    0.9999: 3.719016,
  };
  for (const [p, z] of Object.entries(table)) {
    assert.ok(Math.abs(normalQuantile(Number(p)) - z) < 4.5e-4, p);
    assert.ok(Math.abs(normalQuantile(1 - Number(p)) + z) < 4.5e-4, p);
  }
});

test("a chance of nought or one has no quantile", () => {
  for (const p of [0, 1, -0.1, 1.1, Number.NaN]) assert.throws(() => normalQuantile(p), RangeError);
});

test("χ² quantiles are within 2 % of the tables from three degrees of freedom on", () => {
  // Rows: degrees of freedom. Columns: p = 0.90, 0.95, 0.99, 0.999.
  const table: Record<number, [number, number, number, number]> = {
    3: [6.251, 7.815, 11.345, 16.266],
    5: [9.236, 11.07, 15.086, 20.515],
    9: [14.684, 16.919, 21.666, 27.877],
    10: [15.987, 18.307, 23.209, 29.588],
    20: [28.412, 31.41, 37.566, 45.315],
    30: [40.256, 43.773, 50.892, 59.703],
    60: [74.397, 79.082, 88.379, 99.607],
  };
  for (const [degrees, row] of Object.entries(table)) {
    [0.9, 0.95, 0.99, 0.999].forEach((p, at) => {
      const exact = row[at] ?? Number.NaN;
      const error = Math.abs(chiSquareQuantile(p, Number(degrees)) / exact - 1);
      assert.ok(error < 0.02, `${degrees} degrees, p ${p}: off by ${(error * 100).toFixed(2)} %`);
    });
  }
});
