import { type ChildProcess, fork } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { connect } from "node:tls";
import { fileURLToPath } from "node:url";
import { chunkUp, manifestOf } from "@muster/hub/testing";
import { type Artifact, encodeChunkIndex } from "@muster/shared";
import { FolderBlobs } from "@muster/shared/node";
import { comparisonText, median } from "./measure.js";
import { type Device, newDevice } from "./transfer-device.js";

const megabyte = 1_000_000;

/** What a way of getting the file took. */
interface Figures {
  readonly mbPerSecond: number;
  /** Processor seconds of the giving process per 10⁹ bytes. */
  readonly cpuPerGb: number;
  readonly rssMb: number;
}

/**
 * One device, one file: Muster over MQTT with mutual TLS beside Node's HTTPS and a bare TLS socket. All three write the
 * file to disk, hash it and fsync it; Muster also verifies each chunk and keeps its journal.
 */
export async function benchTransfers(): Promise<string> {
  const lines = [
    "One device, incompressible file, client on the same 2 cores (MB/s; CPU seconds of the giving process per GB)",
  ];
  lines.push(
    row(["size", "Muster MQTT+mTLS", "HTTPS", "raw TLS", "÷ HTTPS", "÷ TLS", "CPU/GB", "HTTPS", "÷ HTTPS", "RSS MB"]),
  );
  for (const [sizeMb, rounds] of [
    [1, 9],
    [20, 7],
    [100, 5],
    [1000, 5],
  ] as const) {
    const folder = await mkdtemp(join(tmpdir(), "muster-bench-"));
    try {
      const place = await prepare(folder, sizeMb * megabyte);
      const ours = await measure("mqtt", folder, rounds, sizeMb, (port, round) => overMqtt(place, port, round));
      const https = await measure("https", folder, rounds, sizeMb, (port, round) => overHttps(place, port, round));
      const tls = await measure("tls", folder, rounds, sizeMb, (port, round) => overTls(place, port, round));
      const cells = [`${sizeMb} MB`, text(ours.mbPerSecond), text(https.mbPerSecond), text(tls.mbPerSecond)];
      const ratios = [ours.mbPerSecond / https.mbPerSecond, ours.mbPerSecond / tls.mbPerSecond].map(ratio);
      const cpu = [text(ours.cpuPerGb), text(https.cpuPerGb), ratio(ours.cpuPerGb / https.cpuPerGb), text(ours.rssMb)];
      lines.push(row([...cells, ...ratios, ...cpu]));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  return lines.join("\n");
}

/** Where a benchmark's hub and devices keep everything. */
export interface Place {
  readonly folder: string;
  readonly artifact: Artifact;
}

/** Many devices fetch the same file at the same time: Muster beside as many HTTPS downloads. */
export async function benchFanOut(): Promise<string> {
  const [count, sizeMb, rounds] = [50, 20, 5];
  const folder = await mkdtemp(join(tmpdir(), "muster-bench-"));
  try {
    const place = await prepare(folder, sizeMb * megabyte);
    const totalMb = count * sizeMb;
    const everyone = async (work: (at: number) => Promise<unknown>) => {
      const beginMs = performance.now();
      await Promise.all(Array.from({ length: count }, (_, at) => work(at)));
      return performance.now() - beginMs;
    };
    const ours = await measure("mqtt", folder, rounds, totalMb, async (port, round) => {
      const devices: Device[] = [];
      for (let at = 0; at < count; at += 1) {
        devices.push(await newDevice(place, port, `bench-${at}`, `round-${round}-${at}`));
      }
      const ms = await everyone((at) => devices[at]?.fetch() ?? Promise.resolve());
      for (const device of devices) await device.close();
      return ms;
    });
    const https = await measure("https", folder, rounds, totalMb, (port, round) =>
      everyone((at) => overHttps(place, port, round * count + at)),
    );
    return comparisonText(
      `${count} devices fetch the same ${sizeMb} MB at once (all clients in one process)`,
      "HTTPS",
      [
        { what: "all together", ours: ours.mbPerSecond, plain: https.mbPerSecond, unit: "MB/s" },
        { what: "processor time of the giving process per GB", ours: ours.cpuPerGb, plain: https.cpuPerGb, unit: "s" },
        { what: "its memory", ours: ours.rssMb, plain: https.rssMb, unit: "MB" },
      ],
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The same random bytes as a file and as an artifact with its index. */
export async function prepare(folder: string, sizeBytes: number): Promise<Place> {
  const file = await open(join(folder, "file"), "w");
  for (let left = sizeBytes; left > 0; left -= megabyte) await file.write(randomBytes(Math.min(left, megabyte)));
  await file.close();
  await mkdir(join(folder, "devices"));
  const artifacts = await FolderBlobs.open(join(folder, "artifacts"));
  const bytes = async function* () {
    const source = await open(join(folder, "file"));
    for await (const part of source.createReadStream({ highWaterMark: megabyte })) yield part as Buffer;
  };
  const blob = await artifacts.add(bytes(), sizeBytes);
  const indexBytes = encodeChunkIndex(await chunkUp(bytes()));
  const indexOnce = async function* () {
    yield indexBytes;
  };
  const index = await artifacts.add(indexOnce(), indexBytes.length);
  const artifact: Artifact = { ...blob, index };
  const manifest = { ...manifestOf(1), variants: [{ name: "fp32", precision: "fp32", artifact }] };
  await writeFile(join(folder, "manifest.json"), JSON.stringify(manifest));
  return { folder, artifact };
}

export async function measure(
  kind: string,
  folder: string,
  rounds: number,
  sizeMb: number,
  fetchOnce: (port: number, round: number) => Promise<number>,
): Promise<Figures> {
  const script = fileURLToPath(new URL("./transfer-hub.js", import.meta.url));
  const child = fork(script, [kind, folder], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  try {
    const [{ port }] = (await once(child, "message")) as [{ port: number }];
    await fetchOnce(port, 0);
    const speeds: number[] = [];
    const cpu: number[] = [];
    let rssBytes = 0;
    for (let round = 1; round <= rounds; round += 1) {
      const before = await ask(child);
      speeds.push(sizeMb / ((await fetchOnce(port, round)) / 1000));
      const after = await ask(child);
      cpu.push((after.cpuUs - before.cpuUs) / 1e6 / (sizeMb / 1000));
      rssBytes = Math.max(rssBytes, after.rssBytes);
    }
    return { mbPerSecond: median(speeds), cpuPerGb: median(cpu), rssMb: rssBytes / megabyte };
  } finally {
    child.kill();
  }
}

export async function ask(child: ChildProcess): Promise<{ cpuUs: number; rssBytes: number }> {
  const told = once(child, "message") as Promise<[{ cpuUs: number; rssBytes: number }]>;
  child.send("cpu");
  return (await told)[0];
}

/** Milliseconds for the artifact over a connection that stands, into an empty shelf. */
export async function overMqtt(place: Place, port: number, round: number): Promise<number> {
  const device = await newDevice(place, port, "bench", `round-${round}`);
  const beginMs = performance.now();
  await device.fetch();
  const ms = performance.now() - beginMs;
  await device.close();
  return ms;
}

/** Milliseconds for the file by HTTPS, stored as a careful download script does; `round` names it. */
export async function overHttps(place: Place, port: number, round: number): Promise<number> {
  const ca = await readFile(join(place.folder, "identity", "ca.crt.pem"));
  const beginMs = performance.now();
  const [response] = (await once(get({ host: "127.0.0.1", port, ca, agent: false }), "response")) as [Readable];
  await store(place, response, `https-${round}`);
  return performance.now() - beginMs;
}

async function overTls(place: Place, port: number, round: number): Promise<number> {
  const ca = await readFile(join(place.folder, "identity", "ca.crt.pem"));
  const beginMs = performance.now();
  await store(place, connect({ host: "127.0.0.1", port, ca }), `tls-${round}`);
  return performance.now() - beginMs;
}

/** Writes, hashes and fsyncs, as a careful download script does. */
async function store({ folder, artifact }: Place, source: Readable, name: string): Promise<void> {
  const path = join(folder, "devices", name);
  const hash = createHash("sha256");
  const tap = new Transform({
    transform: (part: Buffer, _encoding, done) => {
      hash.update(part);
      done(null, part);
    },
  });
  await pipeline(source, tap, createWriteStream(path));
  const file = await open(path, "r+");
  await file.sync();
  await file.close();
  if (hash.digest("hex") !== artifact.sha256) throw new Error("the file arrived damaged");
  await rm(path);
}

function text(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function ratio(value: number): string {
  return `${value.toFixed(2)}×`;
}

function row(cells: readonly string[]): string {
  return `  ${cells.map((cell, at) => (at === 0 ? cell.padEnd(8) : cell.padStart(at === 1 ? 17 : 9))).join("")}`;
}
