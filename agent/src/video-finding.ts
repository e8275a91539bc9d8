import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { AgentConfig } from "./config.js";
import type { Finding } from "./core/findings.js";

const timeoutMs = 10_000;

/** Whether the ffmpeg that sources of video and audio need is there; nothing where there are none. */
export async function videoFindings(sources: AgentConfig["sources"]): Promise<Finding[]> {
  const programs = new Set(sources.flatMap((source) => ("ffmpeg" in source ? [source.ffmpeg] : [])));
  return Promise.all([...programs].map(ffmpegFinding));
}

async function ffmpegFinding(program: string): Promise<Finding> {
  const check = "ffmpeg";
  try {
    const { stdout } = await promisify(execFile)(program, ["-version"], { timeout: timeoutMs });
    return { check, ok: true, detail: stdout.split("\n")[0] ?? program };
  } catch {
    const cure = "install it (Debian: apt-get install ffmpeg), or name it with the source's key 'ffmpeg'";
    return { check, ok: false, detail: `a source of video or audio needs ${program}, which cannot be run`, cure };
  }
}
