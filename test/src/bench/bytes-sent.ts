import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { labelModelFile } from "../fixtures/label-model.js";
import { changesOf } from "./model-changes.js";
import { PublishingHub } from "./publishing-hub.js";
import { newDevice } from "./transfer-device.js";

const models = [
  { name: "label classifier", file: labelModelFile },
  { name: "text detector", file: join(dirname(labelModelFile), "ch_PP-OCRv4_det_infer.onnx") },
  { name: "text recogniser", file: join(dirname(labelModelFile), "ch_PP-OCRv4_rec_infer.onnx") },
];

/** Bytes that a device with the version before fetches for the next one, beside the whole file. */
export async function benchBytesSent(): Promise<string> {
  const lines = [
    "Bytes sent to a device that has the version before (chunks and indices, as the hub counts them)",
    row(["model", "what changed", "whole file", "sent", "÷ whole"]),
  ];
  const folder = await mkdtemp(join(tmpdir(), "muster-bench-"));
  const hub = await PublishingHub.open(folder, "bench");
  try {
    for (const { name, file } of models) {
      for (const [at, change] of changesOf(await readFile(file)).entries()) {
        const sentBytes = await sentFor(hub, folder, `m-${lines.length}-${at}`, change);
        const whole = change.after.length;
        lines.push(row([name, change.name, `${whole} B`, `${sentBytes} B`, (sentBytes / whole).toFixed(3)]));
      }
    }
    return lines.join("\n");
  } finally {
    await hub.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function sentFor(
  hub: PublishingHub,
  folder: string,
  model: string,
  { before, after }: { before: Uint8Array; after: Uint8Array },
): Promise<number> {
  const base = await hub.publish(model, once(before));
  const device = await newDevice({ folder, artifact: base.artifact }, hub.port, "bench", model);
  await device.fetch();
  const next = await hub.publish(model, once(after));
  const sentBefore = hub.sentBytes;
  await device.fetch(next.artifact, { seeds: [base.artifact], hint: next.hint });
  const sentBytes = hub.sentBytes - sentBefore;
  await device.close();
  return sentBytes;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function row(cells: readonly string[]): string {
  return `  ${cells.map((cell, at) => (at < 2 ? cell.padEnd(30) : cell.padStart(13))).join("")}`;
}
