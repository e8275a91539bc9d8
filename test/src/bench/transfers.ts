import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chunkUp, manifestOf } from "@muster/hub/testing";
import { type Artifact, encodeChunkIndex } from "@muster/shared";
import { FolderBlobs } from "@muster/shared/node";
import { many, overHttps, overMqtt, overTls } from "./getting.js";
import { measure } from "./giver.js";
import { comparisonText } from "./measure.js";

const megabyte = 1_000_000;

/**
 * One device, one file: Muster over MQTT with mutual TLS beside Node's HTTPS and a bare TLS socket, in turns. All three write
 * the file to disk, hash it and fsync it; Muster also verifies each chunk and keeps its journal. Its connection stands, as
 * that of a device always does for other reasons; a download makes one, and that is part of it.
 */
export async function benchTransfers(): Promise<string> {
  const lines = [
    "One device, incompressible file, client on the same 2 cores (MB/s; CPU seconds of the giving process per GB).",
    "Muster's connection stands, as a device's does; HTTPS and TLS make theirs, as a download does. All in turns, medians",
  ];
  lines.push(
    row(["size", "Muster MQTT+mTLS", "HTTPS", "raw TLS", "÷ HTTPS", "÷ TLS", "CPU/GB", "HTTPS", "÷ HTTPS", "RSS MB"]),
  );
  for (const [sizeMb, rounds] of [
    [1, 31],
    [20, 11],
    [100, 7],
    [1000, 5],
  ] as const) {
    const folder = await mkdtemp(join(tmpdir(), "muster-bench-"));
    try {
      const place = await prepare(folder, sizeMb * megabyte);
      const ways = [overMqtt(place), overHttps(place), overTls(place)] as const;
      const [ours, https, tls] = await measure(ways, folder, rounds, sizeMb);
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
    const ways = [
      many((at) => overMqtt(place, `bench-${at}`), count),
      many((at) => overHttps(place, `https-${at}`), count),
    ] as const;
    const [ours, https] = await measure(ways, folder, rounds, count * sizeMb);
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

function text(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function ratio(value: number): string {
  return `${value.toFixed(2)}×`;
}

function row(cells: readonly string[]): string {
  return `  ${cells.map((cell, at) => (at === 0 ? cell.padEnd(8) : cell.padStart(at === 1 ? 17 : 9))).join("")}`;
}
