import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { violations } from "./rules.js";
import { type Source, sourceOf } from "./source.js";

// The rules of the house that the linter cannot express. Prints one line per violation and exits with 1 when there are any.
const root = fileURLToPath(new URL("../../..", import.meta.url));
const sources = ["shared", "agent", "hub", "test", "scripts"].flatMap((name) => sourcesOf(`${name}/src`));
const found = violations(sources);
for (const { path, line, rule, advice } of found) process.stdout.write(`${path}:${line}: ${rule}: ${advice}\n`);
process.stdout.write(
  `House rules: ${sources.length} files, ${found.length} violation${found.length === 1 ? "" : "s"}.\n`,
);
process.exitCode = found.length === 0 ? 0 : 1;

function sourcesOf(folder: string): Source[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true })
    .map((name) => `${folder}/${String(name).replaceAll("\\", "/")}`)
    .filter((path) => /\.tsx?$/.test(path))
    .sort()
    .map((path) => sourceOf(path, readFileSync(join(root, path), "utf8")));
}
