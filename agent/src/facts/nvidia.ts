import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** A driver that hangs must not hold up the start. */
const timeoutMs = 10_000;
const mebibyte = 1024 * 1024;

/**
 * Memory of the NVIDIA GPUs, in bytes, in the order of their places on the bus. No file of the kernel tells it, only the
 * driver's own tool; empty where that is not there or fails.
 */
export async function nvidiaMemory(tool = "nvidia-smi"): Promise<number[]> {
  try {
    const query = ["--query-gpu=memory.total", "--format=csv,noheader,nounits"];
    const { stdout } = await promisify(execFile)(tool, query, { timeout: timeoutMs });
    const sizes = stdout.trim().split("\n").map(Number);
    return sizes.every((size) => Number.isInteger(size) && size > 0) ? sizes.map((size) => size * mebibyte) : [];
  } catch {
    return [];
  }
}

/** The same, asked once: it stays as it is while the machine runs, and the tool takes a second. */
export function nvidiaMemoryOnce(): () => Promise<number[]> {
  let known: Promise<number[]> | undefined;
  return () => {
    known ??= nvidiaMemory();
    return known;
  };
}
