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
import { FolderShelf, MemorySpool, openMqttLink, Transfer, Uplink } from "@muster/agent/testing";
import { chunkUp, manifestOf } from "@muster/hub/testing";
import { type Artifact, encodeChunkIndex } from "@muster/shared";
import { FolderBlobs, systemClock } from "@muster/shared/node";
import { OpensslCa } from "../fleet/openssl-ca.js";
import { median } from "./measure.js";
import { nothing, quiet } from "./quiet.js";

const megabyte = 1_000_000;
const never = new AbortController().signal;

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

interface Place {
  readonly folder: string;
  readonly artifact: Artifact;
}

/** The same random bytes as a file and as an artifact with its index. */
async function prepare(folder: string, sizeBytes: number): Promise<Place> {
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

async function measure(
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

async function ask(child: ChildProcess): Promise<{ cpuUs: number; rssBytes: number }> {
  const told = once(child, "message") as Promise<[{ cpuUs: number; rssBytes: number }]>;
  child.send("cpu");
  return (await told)[0];
}

/** Milliseconds for the artifact over a connection that stands, into an empty shelf. */
async function overMqtt({ folder, artifact }: Place, port: number, round: number): Promise<number> {
  const identity = join(folder, "identity");
  const ca = await readFile(join(identity, "ca.crt.pem"), "utf8");
  const pair = { certificate: join(identity, "ca.crt.pem"), key: join(identity, "ca.key.pem") };
  const issued = await (await OpensslCa.of(join(folder, `device-${round}`), pair)).issue("bench");
  const [certificate, privateKey] = await Promise.all(
    [issued.certificate, issued.key].map((file) => readFile(file, "utf8")),
  );
  const credentials = async () => ({
    mqttUrl: `mqtts://127.0.0.1:${port}`,
    ca,
    certificate: certificate ?? "",
    privateKey: privateKey ?? "",
  });
  const spool = () => new MemorySpool<never>({ stream: "bench", records: [] }, 10);
  const uplink = new Uplink({
    open: (handlers) =>
      openMqttLink({ device: "bench", credentials, bootId: "b", handlers, clock: systemClock, log: quiet }),
    ...{ events: spool(), windows: spool(), clock: systemClock, log: quiet },
    say: { hello: async () => ({}) as never, reported: async () => ({}) as never, desired: nothing, renewal: nothing },
  });
  uplink.start();
  while (!uplink.connected) await systemClock.sleep(5);
  const target = join(folder, "devices", `mqtt-${round}`);
  const shelf = await FolderShelf.open(target);
  const allowance = { paused: () => undefined, spend: nothing };
  const transfer = new Transfer({
    link: uplink,
    shelf,
    clock: systemClock,
    log: quiet,
    allowance,
    maxArtifactBytes: 5e9,
  });
  const beginMs = performance.now();
  await transfer.fetchArtifact(artifact, never, nothing);
  const ms = performance.now() - beginMs;
  await uplink.close();
  await rm(target, { recursive: true });
  return ms;
}

async function overHttps(place: Place, port: number, round: number): Promise<number> {
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
