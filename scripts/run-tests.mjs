// Runs the compiled tests with Node's test runner. Arguments are parts of paths: `npm test -- rollout catalog`
// runs the files whose path contains one of them; arguments that begin with `-` go to `node --test`.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const packages = ["shared", "agent", "hub", "test", "scripts"];
/** A file is ended after this; the longest journey takes a small part of it. */
const fileTimeoutMs = 4 * 60_000;

/** The compiled test files whose source path contains one of the filters; all of them without a filter. */
function testFiles(root, filters) {
  return packages
    .filter((name) => existsSync(join(root, name, "src")))
    .flatMap((name) =>
      readdirSync(join(root, name, "src"), { recursive: true })
        .map((path) => path.replaceAll("\\", "/"))
        .filter((path) => path.endsWith(".test.ts"))
        .filter((path) => filters.length === 0 || filters.some((filter) => `${name}/src/${path}`.includes(filter)))
        .sort()
        .map((path) => `${name}/dist/${path.replace(/\.ts$/, ".js")}`),
    );
}

function main(args) {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const filters = args.filter((arg) => !arg.startsWith("-"));
  const files = testFiles(root, filters);
  const missing = files.filter((file) => !existsSync(join(root, file)));
  if (files.length === 0) {
    console.error(`No test file${filters.length === 0 ? "" : ` with ${filters.join(" or ")} in its path`} was found.`);
    return 1;
  }
  if (missing.length > 0) {
    console.error(`Not compiled: ${missing.join(", ")}. Run 'npm run build' and look at its errors.`);
    return 1;
  }
  const options = [
    "--test-reporter=spec",
    `--test-concurrency=${Math.max(2, Math.min(4, availableParallelism()))}`,
    `--test-timeout=${fileTimeoutMs}`,
    ...args.filter((arg) => arg.startsWith("-")),
  ];
  const { status } = spawnSync(process.execPath, ["--test", ...options, ...files], { cwd: root, stdio: "inherit" });
  return status ?? 1;
}

process.exitCode = main(process.argv.slice(2));
