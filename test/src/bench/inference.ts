import { mkdtemp, readdir, rm, stat } from "node:fs/promises";

import { setPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { systemClock } from "@muster/shared/node";
import { ended, pushLarge, rollOut } from "../e2e/line.js";
import { renderLabel } from "../fixtures/labels.js";
import { AgentMachine, eventually, HubMachine } from "../fleet/fleet.js";
import { median } from "./measure.js";

const rounds = 7;
const perSecond = 40;
const idleMs = 4000;
/** Shorter than the transfer takes. */
const besideMs = 1800;

/** How a transfer is held against the inference beside it. */
const cases = [
  { name: "full speed", deviceBytesPerSecond: 0, sizeBytes: 500_000_000 },
  { name: "400 Mbit/s", deviceBytesPerSecond: 50_000_000, sizeBytes: 300_000_000 },
  { name: "100 Mbit/s", deviceBytesPerSecond: 12_500_000, sizeBytes: 100_000_000 },
];

/** Latency of inference while the agent fetches a model, beside what it is without. */
export async function benchInference(): Promise<string> {
  const lines = [
    `Label classifier by HTTP, ${perSecond} pictures a second, timed from when each was due; agent, runner, hub and this client`,
    "share the cores, which a device and its hub do not: the hub runs at the lowest priority. What this client waits for a",
    "core is in its figures, as it is in those of an application on the device. Medians of rounds",
    row(["transfer", "MB/s", "p50 without", "p50 beside", "p99 without", "p99 beside", "p99 ratio", "of all"]),
  ];
  for (const given of cases) {
    const folder = await mkdtemp(join(tmpdir(), "muster-bench-"));
    try {
      lines.push(await benchCase(folder, given));
    } finally {
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  }
  return lines.join("\n");
}

async function benchCase(folder: string, { name, deviceBytesPerSecond, sizeBytes }: (typeof cases)[number]) {
  const hub = await HubMachine.start(folder, { tickMs: 200, deviceBytesPerSecond });
  const agent = new AgentMachine(folder, "d1");
  try {
    await agent.join(hub, "site=lyon");
    await agent.start();
    await pushLarge(hub, folder, "1.0.0", "fp32", 0);
    await ended(hub, (await rollOut(hub, "1.0.0")).id);
    // Encrypted, so that it is fetched whole and as it is.
    await pushLarge(hub, folder, "2.0.0", "fp32", sizeBytes, "--encrypt");
    await rankLast(hub.program.pid);
    const load = new Load(agent, await renderLabel({ text: "MUSTER", rotated: false, seed: 1 }));
    const seen: Beside[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const idle = await load.during(nothing);
      const { id } = await rollOut(hub, "2.0.0");
      const beside = await load.during(() => transferOf(agent));
      const mbPerSecond = beside.bytes / 1000 / beside.ms;
      seen.push({ idle: idle.latencies, beside: beside.latencies, mbPerSecond });
      await hub.operator.run("rollout", "halt", id);
      await eventually("it is gone", async () => ((await partialBytes(agent)) === 0 ? true : undefined));
    }
    return textOf(name, seen);
  } finally {
    if (agent.started) await agent.program.stop();
    await hub.program.stop();
  }
}

interface Beside {
  readonly idle: readonly number[];
  readonly beside: readonly number[];
  readonly mbPerSecond: number;
}

function textOf(name: string, seen: readonly Beside[]): string {
  const of = (pick: (round: Beside) => number) => median(seen.map(pick));
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  const [idle, beside] = [seen.flatMap((round) => round.idle), seen.flatMap((round) => round.beside)];
  return row([
    ...[name, of((round) => round.mbPerSecond).toFixed(0)],
    ...[ms(of((round) => share(round.idle, 0.5))), ms(of((round) => share(round.beside, 0.5)))],
    ...[ms(of((round) => share(round.idle, 0.99))), ms(of((round) => share(round.beside, 0.99)))],
    `${of((round) => share(round.beside, 0.99) / share(round.idle, 0.99)).toFixed(2)}×`,
    `${(share(beside, 0.99) / share(idle, 0.99)).toFixed(2)}×`,
  ]);
}

/** Asks for one picture again and again, at a steady rate whether answers come or not. */
class Load {
  readonly #agent: AgentMachine;
  readonly #picture: Uint8Array;

  constructor(agent: AgentMachine, picture: Uint8Array) {
    this.#agent = agent;
    this.#picture = picture;
  }

  /** Latencies, in milliseconds, of what was due while the work went on. */
  async during(work: () => Promise<Span>): Promise<{ latencies: number[]; ms: number; bytes: number }> {
    const beginMs = performance.now();
    const answers: Promise<{ dueMs: number; ms: number }>[] = [];
    let over = false;
    const span = work().finally(() => {
      over = true;
    });
    for (let at = 0; !over; at += 1) {
      const dueMs = beginMs + (at * 1000) / perSecond;
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) await systemClock.sleep(waitMs);
      answers.push(this.#ask(dueMs));
    }
    const { fromMs, toMs, bytes } = await span;
    const within = (await Promise.all(answers)).filter(({ dueMs }) => dueMs >= fromMs && dueMs < toMs);
    return { latencies: within.map(({ ms }) => ms), ms: toMs - fromMs, bytes };
  }

  async #ask(dueMs: number): Promise<{ dueMs: number; ms: number }> {
    const response = await this.#agent.infer(this.#picture);
    if (!response.ok) throw new Error(`inference answered ${response.status}: ${await response.text()}`);
    await response.arrayBuffer();
    return { dueMs, ms: performance.now() - dueMs };
  }
}

/** From when to when an agent fetched something. */
interface Span {
  readonly fromMs: number;
  readonly toMs: number;
  readonly bytes: number;
}

async function nothing(): Promise<Span> {
  const fromMs = performance.now();
  await systemClock.sleep(idleMs);
  return { fromMs, toMs: performance.now(), bytes: 0 };
}

/** Some seconds in which the agent fetches, from when it has begun. */
async function transferOf(agent: AgentMachine): Promise<Span> {
  await eventually("bytes arrive", async () => ((await partialBytes(agent)) > 2_000_000 ? true : undefined));
  const [fromMs, fromBytes] = [performance.now(), await partialBytes(agent)];
  await systemClock.sleep(besideMs);
  const [toMs, toBytes] = [performance.now(), await partialBytes(agent)];
  // What was measured after its end would not be beside it.
  if (toBytes <= fromBytes) throw new Error("the transfer was over before the measurement; make it larger");
  return { fromMs, toMs, bytes: toBytes - fromBytes };
}

/** What the disk holds of what is being fetched. */
async function partialBytes(agent: AgentMachine): Promise<number> {
  const folder = join(agent.dataDir, "models", "partials");
  const sizes = (await readdir(folder)).map(async (file) => (await stat(join(folder, file)).catch(gone)).blocks * 512);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** A partial file is given its name at its end. */
function gone(): { blocks: number } {
  return { blocks: 0 };
}

/** Lets everything else on this machine go before a process, with all threads it has. */
async function rankLast(pid: number): Promise<void> {
  for (const thread of await readdir(`/proc/${pid}/task`)) setPriority(Number(thread), 19);
}

function share(values: readonly number[], at: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(at * sorted.length))] ?? Number.NaN;
}

function row(cells: readonly string[]): string {
  return `  ${cells.map((cell, at) => (at === 0 ? cell.padEnd(12) : cell.padStart(13))).join("")}`;
}
