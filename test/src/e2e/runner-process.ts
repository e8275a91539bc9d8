import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** The runner process of an agent. */
export async function runnerOf(agentPid: number): Promise<number> {
  const { stdout } = await promisify(execFile)("ps", ["-ww", "-o", "pid=,args=", "--ppid", String(agentPid)]);
  const line = stdout.split("\n").find((text) => text.includes("runner/main.js"));
  assert.ok(line !== undefined, `agent ${agentPid} has no runner: ${stdout}`);
  return Number.parseInt(line, 10);
}
