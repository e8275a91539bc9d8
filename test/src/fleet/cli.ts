import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What a command printed and how it ended. */
export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The file behind `muster` or `muster-agent`. */
export const programs = {
  muster: fileURLToPath(import.meta.resolve("@muster/hub/bin/muster.js")),
  agent: fileURLToPath(import.meta.resolve("@muster/agent/bin/muster-agent.js")),
};

/** Runs one command to its end, as a process of this Node or of another. */
export function runCommand(
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  node = process.execPath,
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(node, [script, ...args], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}

/** The operator's command line against one hub. */
export class Operator {
  readonly #env: Readonly<Record<string, string>>;

  constructor(apiUrl: string, token: string) {
    this.#env = { MUSTER_HUB: apiUrl, MUSTER_TOKEN: token, XDG_CONFIG_HOME: "/nonexistent" };
  }

  /** Runs `muster` and returns whatever came of it. */
  run(...args: string[]): Promise<CliResult> {
    return runCommand(programs.muster, args, this.#env);
  }

  /** Runs `muster … --json` and returns what it printed. Throws when it does not end with code 0. */
  async json<T>(...args: string[]): Promise<T> {
    const { code, stdout, stderr } = await this.run(...args, "--json");
    if (code !== 0) throw new Error(`muster ${args.join(" ")} ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as T;
  }
}
