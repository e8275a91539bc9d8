import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** Runs npm to its end and returns what it printed. Throws with npm's own words when it fails. */
export async function npm(args: readonly string[], cwd: string): Promise<string> {
  const script = process.env.npm_execpath;
  const [command, first] = script?.endsWith("npm-cli.js") === true ? [process.execPath, [script]] : ["npm", []];
  const { stdout } = await promisify(execFile)(command, [...first, ...args, "--loglevel=error"], {
    cwd,
    shell: process.platform === "win32" && command === "npm",
    maxBuffer: 16 * 1024 ** 2,
  });
  return stdout;
}
