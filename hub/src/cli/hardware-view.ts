import { formatBytes, type Hardware } from "@muster/shared";
import type { Session } from "./session.js";
import { type Cell, orDash } from "./table.js";

type Field = [name: string, value: Cell | undefined];

/** The facts of a device's hardware; those that an older agent does not tell are left out. */
export function hardwareFields(hardware: Hardware, style: Session["style"]): Field[] {
  const { board, platform, arch, providers, onnxruntime, jetson, throttling, accelerators } = hardware;
  const build = onnxruntime === undefined ? "" : ` (ONNX Runtime ${onnxruntime.version}, build ${onnxruntime.build})`;
  return [
    ["hardware", `${board} (${platform} ${arch}), ${memoryText(hardware)}`],
    ["jetson", jetson && `module ${jetson.module}, L4T ${jetson.l4t ?? "?"}, JetPack ${jetson.jetpack ?? "?"}`],
    ["processor", processorText(hardware)],
    ["gpu", listed(hardware.gpus?.map(gpuText))],
    ["accelerators", listed(accelerators)],
    ["power", powerText(hardware)],
    ["temperature", temperatureText(hardware)],
    ["held back", throttling?.length ? { text: throttling.join("; "), paint: style.warn } : undefined],
    ["providers", `${orDash(providers.join(", "))}${build}`],
  ];
}

function memoryText({ memoryBytes, freeDiskBytes }: Hardware): string {
  return `${formatBytes(memoryBytes)} memory, ${formatBytes(freeDiskBytes)} disk free`;
}

function processorText({ cores, cpu, clusters = [], features = [] }: Hardware): string {
  const parts = clusters.map((cluster) => {
    const speed = cluster.maxMhz === undefined ? "" : ` at ${cluster.maxMhz} MHz`;
    return `${cluster.cores} × ${cluster.cpu ?? "core"}${speed}`;
  });
  const text = [`${cores} cores ${cpu}`, ...(parts.length > 0 ? [parts.join(" + ")] : [])];
  return [...text, ...(features.length > 0 ? [features.join(" ")] : [])].join(", ");
}

function gpuText({ name, memoryBytes, shared }: NonNullable<Hardware["gpus"]>[number]): string {
  if (shared) return `${name} (shares the memory)`;
  return memoryBytes === undefined ? name : `${name} (${formatBytes(memoryBytes)})`;
}

function powerText({ power }: Hardware): string | undefined {
  const parts = [power?.mode && `mode ${power.mode}`, power?.governor && `governor ${power.governor}`];
  return listed(parts.filter((part) => part !== undefined));
}

/** The hottest zone is the one that matters. */
function temperatureText({ temperatures = [] }: Hardware): string | undefined {
  const [hottest] = [...temperatures].sort((a, b) => b.celsius - a.celsius);
  return hottest && `${hottest.celsius} °C (${hottest.zone})`;
}

function listed(parts: readonly string[] | undefined): string | undefined {
  return parts?.length ? parts.join(", ") : undefined;
}
