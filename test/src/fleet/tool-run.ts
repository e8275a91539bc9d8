import { spawn } from "node:child_process";
import type { CliResult } from "./cli.js";
import { debianTool } from "./debian-tool.js";

/** The packages of the tools that tests call. */
const packages = {
  ffmpeg: "ffmpeg",
  mosquitto_pub: "mosquitto-clients",
  mosquitto_sub: "mosquitto-clients",
  openssl: "openssl",
  curl: "curl",
} as const;

/** Runs a tool of the system to its end; it is ended after `timeoutMs`, and then has the code -1. */
export async function runTool(
  name: keyof typeof packages,
  args: readonly string[],
  { input = "", timeoutMs = 10_000, cwd }: { input?: string | Buffer; timeoutMs?: number; cwd?: string } = {},
): Promise<CliResult> {
  const { path, env } = await debianTool(name, packages[name]);
  return new Promise((resolve, reject) => {
    const child = spawn(path, args, {
      env: { ...process.env, ...env },
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
