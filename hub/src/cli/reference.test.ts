import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { cliReference } from "./reference.js";

test("docs/cli.md says what the program says", async () => {
  const written = await readFile(new URL("../../../docs/cli.md", import.meta.url), "utf8");
  const message = "docs/cli.md is out of date; write it again: npm run docs";
  assert.ok(written === cliReference(), message);
});

test("every command has a description and at least one example", () => {
  const sections = cliReference()
    .split(/^#{2,3} (?=muster )/m)
    .slice(1);
  assert.ok(sections.length > 20);
  for (const section of sections) {
    const isGroup = /^muster (audit|device|engine|key|model|rollout|telemetry|token|user)\n/.test(section);
    assert.ok(isGroup || section.includes("```sh\nmuster "), section);
  }
});
