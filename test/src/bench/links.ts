import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { systemClock } from "@muster/shared/node";
import { overHttps } from "./getting.js";
import { median } from "./measure.js";
import { ShapedLink } from "./shaped-link.js";
import { type Device, newDevice } from "./transfer-device.js";
import { type Place, prepare } from "./transfers.js";

/** HTTPS over a link that loses packets is as slow from the first second on, and gets a smaller file. */
const links = [
  { name: "20 Mbit/s, 60 ms", mbitPerSecond: 20, rttMs: 60, lossShare: 0, sizeMb: 15, plainMb: 15 },
  { name: "100 Mbit/s, 100 ms", mbitPerSecond: 100, rttMs: 100, lossShare: 0, sizeMb: 60, plainMb: 60 },
  { name: "20 Mbit/s, 60 ms, 1 % loss", mbitPerSecond: 20, rttMs: 60, lossShare: 0.01, sizeMb: 100, plainMb: 3 },
] as const;
const rounds = 5;
const controlPauseMs = 50;

/** Transfers over links like those of sites: how much of the link they use, and what they do to control messages. */
export async function benchLinks(): Promise<string> {
  const lines = [
    "One device over a shaped link (a proxy in this process: rate, delay, queue of one round trip; loss is what TCP makes",
    "of it: a stall of one round trip for all behind a lost segment, and a congestion window cut to 0.7). Share of the link,",
    "the time to find out how many lanes to open included; HTTPS is one connection, as a user would have it. Round trip of a",
    "control message on the device's MQTT connection: on the idle link, and what Muster (also in round trips of the link) or",
    "HTTPS add meanwhile. Medians",
    row(["link", "Muster", "HTTPS", "ratio", "control", "+ Muster", "+ HTTPS", "in trips"]),
  ];
  for (const link of links) {
    const folders = await Promise.all([1, 2].map(() => mkdtemp(join(tmpdir(), "muster-bench-"))));
    const [ours = "", plain = ""] = folders;
    try {
      lines.push(
        await benchLink(link, await prepare(ours, link.sizeMb * 1e6), await prepare(plain, link.plainMb * 1e6)),
      );
    } finally {
      for (const folder of folders) await rm(folder, { recursive: true, force: true });
    }
  }
  return lines.join("\n");
}

async function benchLink(shape: (typeof links)[number], place: Place, plainPlace: Place): Promise<string> {
  const link = new ShapedLink(shape);
  const hubs: ChildProcess[] = [];
  try {
    const ports: number[] = [];
    for (const [kind, { folder }] of [
      ["mqtt", place],
      ["https", plainPlace],
    ] as const) {
      const script = fileURLToPath(new URL("./transfer-hub.js", import.meta.url));
      const hub = fork(script, [kind, folder], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
      hubs.push(hub);
      const [{ port }] = (await once(hub, "message")) as [{ port: number }];
      ports.push(await link.to(port));
    }
    const [mqtt = 0, https = 0] = ports;
    const shares = { ours: [] as number[], https: [] as number[] };
    const controls = { idle: [] as number[], ours: [] as number[], https: [] as number[] };
    const shareOf = (mb: number, ms: number) => (mb * 1e6) / (ms / 1000) / link.bytesPerSecond;
    for (let round = 0; round < rounds; round += 1) {
      const device = await newDevice(place, mqtt, "bench", `round-${round}`);
      await besides(device, controls.idle, () => systemClock.sleep(20 * controlPauseMs));
      const download = await overHttps(plainPlace).begin(https, round);
      shares.https.push(shareOf(shape.plainMb, await besides(device, controls.https, () => download.fetch())));
      shares.ours.push(shareOf(shape.sizeMb, await besides(device, controls.ours, () => device.fetch())));
      await device.close();
    }
    const idleMs = median(controls.idle);
    const [oursMs, httpsMs] = [median(controls.ours) - idleMs, median(controls.https) - idleMs];
    const [ours, plain] = [median(shares.ours), median(shares.https)];
    return row([
      ...[shape.name, ours.toFixed(2), plain.toFixed(2), `${(ours / plain).toFixed(2)}×`, `${idleMs.toFixed(0)} ms`],
      ...[`${oursMs.toFixed(0)} ms`, `${httpsMs.toFixed(0)} ms`, (oursMs / shape.rttMs).toFixed(2)],
    ]);
  } finally {
    for (const hub of hubs) hub.kill();
    link.close();
  }
}

/** Does the work, measuring the round trips of control messages meanwhile; returns the milliseconds it took. */
async function besides(device: Device, measured: number[], work: () => Promise<unknown>): Promise<number> {
  const beginMs = performance.now();
  let endMs: number | undefined;
  const done = work().finally(() => {
    endMs = performance.now();
  });
  while (endMs === undefined) {
    measured.push(await device.controlMs());
    await systemClock.sleep(controlPauseMs);
  }
  await done;
  return endMs - beginMs;
}

function row(cells: readonly string[]): string {
  return `  ${cells.map((cell, at) => (at === 0 ? cell.padEnd(28) : cell.padStart(10))).join("")}`;
}
