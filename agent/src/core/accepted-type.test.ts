import assert from "node:assert/strict";
import { test } from "node:test";
import { acceptedType } from "./accepted-type.js";

const offered = ["application/json", "image/png"] as const;

test("an Accept header gets the type it likes best, and the first where it does not care", () => {
  const cases: readonly [string | undefined, string][] = [
    [undefined, "application/json"],
    ["*/*", "application/json"],
    ["image/png", "image/png"],
    ["Image/PNG", "image/png"],
    ["image/*", "image/png"],
    ["image/png, */*;q=0.8", "image/png"],
    ["image/png;q=0.5, application/json", "application/json"],
    ["application/json;q=0.4,image/png;q=0.5", "image/png"],
    ["image/png;q=0, */*", "application/json"],
    ["text/plain", "application/json"],
    ["image/png;q=nonsense", "application/json"],
    ["", "application/json"],
  ];
  for (const [accept, expected] of cases) assert.equal(acceptedType(accept, offered), expected, accept);
});
