import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import type { Artifact, TransferHint } from "@muster/shared";
import { largeModelSeed } from "./large-model.js";
import type { LargeFetch } from "./large-party.js";

interface Published {
  readonly artifact: Artifact;
  readonly hint?: TransferHint;
}

/**
 * Four gigabytes from an upload to a device, then the next version as a delta: the most memory that hub and device ever had.
 * Takes some minutes and 25 GB of the temporary folder.
 */
export async function benchLarge(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "muster-bench-"));
  const parties: ChildProcess[] = [];
  try {
    await writeFile(join(folder, "seed"), largeModelSeed());
    const [hub, { port }] = await start<{ port: number }>(parties, "hub", folder);
    const lines = ["A model of 4 GB (peak resident memory of each process so far, MB; Linux's VmHWM)"];
    lines.push(row(["", "seconds", "hub MB", "device MB"]));
    lines.push(row(["before", "", await peakMb(hub), ""]));
    const step = async <T>(what: string, party: ChildProcess, message: object | number, device?: ChildProcess) => {
      const beginMs = performance.now();
      const answer = await ask<T>(party, message);
      const seconds = ((performance.now() - beginMs) / 1000).toFixed(0);
      lines.push(row([what, seconds, await peakMb(hub), device === undefined ? "" : await peakMb(device)]));
      return answer;
    };
    const first = await step<Published>("publish: store, cut, index, try to compress", hub, 1);
    const [device] = await start(parties, "device", folder, String(port), JSON.stringify(first.artifact));
    const fetch: LargeFetch = { artifact: first.artifact, seeds: [] };
    await step("fetch the whole", device, fetch, device);
    const next = await step<Published>("publish the next, fine-tuned: the same and a delta", hub, 2, device);
    const delta = next.hint?.deltas?.[0]?.delta.sizeBytes ?? 0;
    const wanted: LargeFetch = { ...next, seeds: [first.artifact] };
    await step(`fetch it: a delta of ${(delta / 1e6).toFixed(0)} MB, rebuild`, device, wanted, device);
    return lines.join("\n");
  } finally {
    for (const party of parties) party.kill();
    await Promise.all(parties.map((party) => party.exitCode ?? party.signalCode ?? once(party, "exit")));
    await rm(folder, { recursive: true, force: true });
  }
}

async function start<T>(parties: ChildProcess[], kind: string, ...args: string[]): Promise<[ChildProcess, T]> {
  const script = fileURLToPath(new URL("./large-party.js", import.meta.url));
  const party = fork(script, [kind, ...args], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  parties.push(party);
  return [party, await answerOf<T>(party)];
}

function ask<T>(party: ChildProcess, message: object | number): Promise<T> {
  const answer = answerOf<T>(party);
  party.send(message);
  return answer;
}

/** What the process says next. Throws when it ends instead. */
async function answerOf<T>(party: ChildProcess): Promise<T> {
  const over = new AbortController();
  const ended = once(party, "exit", over).then(([code]) => {
    throw new Error(`the process ended with ${code}`);
  });
  try {
    const [answer] = (await Promise.race([once(party, "message", over), ended])) as [T];
    return answer;
  } finally {
    over.abort();
    await ended.catch(() => undefined);
  }
}

async function peakMb({ pid }: ChildProcess): Promise<string> {
  const text = await readFile(`/proc/${pid}/status`, "utf8");
  return (Number(/VmHWM:\s+(\d+)/.exec(text)?.[1]) / 1000).toFixed(0);
}

function row(cells: readonly string[]): string {
  return `  ${cells.map((cell, at) => (at === 0 ? cell.padEnd(54) : cell.padStart(10))).join("")}`.trimEnd();
}
