import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AgentConfig } from "@muster/agent";
import { makeManifest, picture, RunnerHost, servingSettings, slotOf } from "@muster/agent/testing";
import { median } from "./measure.js";
import { useOf } from "./process-use.js";
import { quiet } from "./quiet.js";

const swaps = 100;
const steadyMs = 15_000;
/** Applications that ask at the same time. */
const clients = 4;

/**
 * A hundred changes of version under full load, each of them a load, an activation and a release: latency beside what it is
 * without, failed requests, memory, and the time of going back to the version that is kept warm.
 */
export async function benchSwaps(): Promise<string> {
  const stateDir = await mkdtemp(join(tmpdir(), "muster-bench-"));
  const config = AgentConfig.parse({ inferencePort: 0 });
  const batch = { maxRows: config.maxBatch, maxDelayMs: config.batchDelayMs };
  const limits = { memoryMb: 0, runLimitMs: config.engineTimeoutMs, maxQueue: config.maxQueue, maxQueued: 256 };
  const settings = {
    serving: servingSettings(config),
    workers: 2,
    maxWorkers: 2,
    batch,
    ...limits,
    stateDir,
    sources: [],
    sinks: [],
  };
  const host = new RunnerHost({ settings, log: quiet });
  try {
    await host.start();
    return await measure(host);
  } finally {
    await host.close();
    await rm(stateDir, { recursive: true, force: true });
  }
}

async function measure(host: RunnerHost): Promise<string> {
  const bytes = await picture();
  const versions = ["1.0.0", "2.0.0", "3.0.0"];
  const digests: string[] = [];
  const slots = await Promise.all(versions.map(async (version) => slotOf(await makeManifest([bytes], { version }))));
  const swap = async (at: number) => {
    const slot = slots[at % slots.length];
    if (slot === undefined) return;
    await host.load(slot);
    await host.activate(slot.manifestDigest);
    digests.push(slot.manifestDigest);
  };
  const residentMb = async () => (await useOf(host.pid ?? 0)).rssMb;
  await swap(0);
  const load = underLoad(`${(await host.status()).url}/v2/models/label-orientation/infer`, bytes);
  await sleep(steadyMs / 3);
  load.take();
  await sleep(steadyMs);
  const steady = load.take();
  const sizes: number[] = [];
  for (let at = 1; at <= swaps; at += 1) {
    await swap(at);
    sizes.push(await residentMb());
  }
  const swapping = load.take();
  const backMs: number[] = [];
  for (let at = 0; at < 20; at += 1) {
    const beganMs = performance.now();
    await host.activate(digests.at(at % 2 === 0 ? -2 : -1) ?? "");
    backMs.push(performance.now() - beganMs);
  }
  const failed = await load.stop();
  return [
    `${swaps} swaps of the classifier under full load (${clients} clients on the same 2 cores)`,
    `  JPEG to label without swaps: p50 ${steady.p50Ms.toFixed(1)} ms, p99 ${steady.p99Ms.toFixed(1)} ms (${steady.count} requests)`,
    `  JPEG to label during swaps:  p50 ${swapping.p50Ms.toFixed(1)} ms, p99 ${swapping.p99Ms.toFixed(1)} ms (${swapping.count} requests), p99 ratio ${(swapping.p99Ms / steady.p99Ms).toFixed(2)}`,
    `  failed requests: ${failed}`,
    `  going back to the warm version, under load: median ${median(backMs).toFixed(1)} ms, longest ${Math.max(...backMs).toFixed(1)} ms`,
    `  resident memory after 10, 50 and ${swaps} swaps: ${[9, 49, swaps - 1].map((at) => sizes[at]?.toFixed(0)).join(", ")} MB`,
  ].join("\n");
}

/** Clients that ask one picture after the other, until they are stopped. */
function underLoad(url: string, body: Uint8Array) {
  let timesMs: number[] = [];
  let failed = 0;
  let asking = true;
  const run = async () => {
    while (asking) {
      const beganMs = performance.now();
      const response = await fetch(url, { method: "POST", headers: { "content-type": "image/jpeg" }, body });
      await response.arrayBuffer();
      if (!response.ok) failed += 1;
      timesMs.push(performance.now() - beganMs);
    }
  };
  const running = Promise.all(Array.from({ length: clients }, run));
  return {
    take: () => {
      const sorted = timesMs.sort((a, b) => a - b);
      timesMs = [];
      const p99Ms = sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN;
      return { count: sorted.length, p50Ms: median(sorted), p99Ms };
    },
    stop: async () => {
      asking = false;
      await running;
      return failed;
    },
  };
}
