import { spawn } from "node:child_process";
import type { CliResult } from "./cli.js";
import { toolPath } from "./tool.js";

/** Runs a tool of the system to its end; it is ended after `timeoutMs`, and then has the code -1. */
export async function runTool(
  name: "curl" | "ffmpeg" | "mosquitto_pub" | "mosquitto_sub" | "openssl",
  args: readonly string[],
  { input = "", timeoutMs = 10_000, cwd }: { input?: string | Buffer; timeoutMs?: number; cwd?: string } = {},
): Promise<CliResult> {
  const path = await toolPath(name);
  return new Promise((resolve, reject) => {
    const child = spawn(path, args, {
      stdio: "pipe",
      ...(cwd === undefined ? {} : { cwd }),
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("latin1").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? -1, stdout, stderr });
    });
  });
}
