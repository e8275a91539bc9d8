import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Rollout } from "@muster/shared";
import { runnerOf } from "../e2e/runner-process.js";
import { makeBundle } from "../fixtures/bundles.js";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { AgentMachine, eventually, HubMachine } from "../fleet/fleet.js";
import { median } from "./measure.js";
import { type ProcessUse, useOf } from "./process-use.js";

/** Long enough that what happens once a minute counts. */
const idleMs = 60_000;
const loadMs = 20_000;
/** Applications that ask at the same time. */
const clients = 8;

/**
 * Resident memory of agent and runner with the classifier, settings as they come (two workers on two cores), a folder
 * watched, the hub connected: idle, under full load, and idle after it; and the processor time of doing nothing.
 */
export async function benchMemory(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "muster-bench-"));
  const hub = await HubMachine.start(folder, { tickMs: 1000 });
  const machine = new AgentMachine(folder, "bench");
  try {
    const source = { type: "folder", path: machine.inbox, model: "label-orientation", afterwards: "delete" };
    await machine.join(hub, "site=bench", { windowMs: 60_000, sources: [source], logLevel: "info" });
    await machine.start();
    await install(hub, folder, machine);
    return await measure(machine);
  } finally {
    if (machine.started) await machine.program.stop();
    await hub.program.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function install(hub: HubMachine, folder: string, machine: AgentMachine): Promise<void> {
  const bundle = join(folder, "bundle");
  await makeBundle(bundle, { version: "1.0.0", kind: "fp32", referenceImages: 40, samples: 2 });
  const { code, stderr } = await hub.operator.run("model", "push", bundle);
  if (code !== 0) throw new Error(stderr);
  const flags = ["--waves", "100%", "--soak", "0s", "--probation", "1s"];
  await hub.operator.json<Rollout>("rollout", "start", "label-orientation", "1.0.0", ...flags);
  const committed = async () => machine.program.log.find(({ event }) => event === "model.ended");
  await eventually("the version is committed", committed, 60_000);
}

async function measure(machine: AgentMachine): Promise<string> {
  const agent = machine.program.pid;
  const runner = await runnerOf(agent);
  const rows: string[] = [];
  const look = async (what: string): Promise<[ProcessUse, ProcessUse]> => {
    const uses: [ProcessUse, ProcessUse] = [await useOf(agent), await useOf(runner)];
    rows.push(row(what, uses));
    return uses;
  };
  // What a rollout leaves to be done is done by then.
  await sleep(20_000);
  await look("after the rollout");
  const before = await look("idle");
  await sleep(idleMs);
  const after = await look(`idle for ${idleMs / 1000} s more`);
  const idle = before.map(({ cpuMs }, at) => (100 * ((after[at]?.cpuMs ?? 0) - cpuMs)) / idleMs);
  const load = await underLoad(machine, () => look("under full load"));
  await sleep(10_000);
  await look("idle again");
  return [
    "Memory in MB (RSS counts pages that both share twice, PSS once)",
    row("", undefined),
    ...rows,
    `  idle processor time: agent ${(idle[0] ?? 0).toFixed(2)} %, runner ${(idle[1] ?? 0).toFixed(2)} % of a core`,
    `  JPEG to label with ${clients} clients: p50 ${load.p50Ms.toFixed(2)} ms, p99 ${load.p99Ms.toFixed(2)} ms, ${load.perSecond.toFixed(0)} per second`,
  ].join("\n");
}

async function underLoad(machine: AgentMachine, look: () => Promise<unknown>) {
  const pictures = await Promise.all(
    Array.from({ length: 8 }, (_, seed) => renderLabel({ text: labelText(seed), rotated: seed % 2 === 1, seed })),
  );
  const timesMs: number[] = [];
  const untilMs = performance.now() + loadMs;
  const run = async (client: number) => {
    for (let at = client; performance.now() < untilMs; at += 1) {
      const beginMs = performance.now();
      const response = await machine.infer(pictures[at % pictures.length] ?? new Uint8Array());
      await response.arrayBuffer();
      if (!response.ok) throw new Error(`status ${response.status}`);
      timesMs.push(performance.now() - beginMs);
    }
  };
  const running = Promise.all(Array.from({ length: clients }, (_, client) => run(client)));
  await sleep(loadMs * 0.9);
  await look();
  await running;
  timesMs.sort((a, b) => a - b);
  const p99Ms = timesMs[Math.floor(timesMs.length * 0.99)] ?? Number.NaN;
  return { p50Ms: median(timesMs), p99Ms, perSecond: (timesMs.length * 1000) / loadMs };
}

function row(what: string, uses: readonly [ProcessUse, ProcessUse] | undefined): string {
  const names = ["agent RSS", "PSS", "runner RSS", "PSS", "both RSS", "PSS"];
  const figures = uses?.flatMap(({ rssMb, pssMb }) => [rssMb, pssMb]) ?? [];
  const both = [0, 1].map((at) => (figures[at] ?? 0) + (figures[at + 2] ?? 0));
  const cells = uses === undefined ? names : [...figures, ...both].map((value) => value.toFixed(0));
  return `  ${what.padEnd(20)}${cells.map((cell, at) => cell.padStart(Math.max(10, (names[at]?.length ?? 0) + 2))).join("")}`.trimEnd();
}
