import { formatBytes, type Hardware } from "@muster/shared";
import type { RuntimeProbe } from "../ports.js";
import { everywhere, hasNvidia } from "./provider-plan.js";

/** One thing that was looked at. */
export interface Finding {
  readonly check: string;
  /** False when an agent cannot do its work because of it. */
  readonly ok: boolean;
  /** Present when the work is done, and could be done better. */
  readonly warning?: true;
  readonly detail: string;
  /** What to do about it, when it is not ok or a warning. */
  readonly cure?: string;
}

/** Hotter than this a processor is about to be throttled. */
const hotCelsius = 85;
const builds = "see docs/providers.md for a build of ONNX Runtime with it, and the setting onnxruntime";

/** What the machine is, and what holds it back. */
export function hardwareFindings(hardware: Hardware): Finding[] {
  const { board, platform, arch, memoryBytes, jetson, gpus = [], accelerators = [] } = hardware;
  const release = jetson && `, module ${jetson.module}, L4T ${jetson.l4t ?? "?"}, JetPack ${jetson.jetpack ?? "?"}`;
  const machine = `${board} (${platform} ${arch})${release ?? ""}, ${formatBytes(memoryBytes)} memory`;
  return [
    { check: "machine", ok: true, detail: machine },
    { check: "processor", ok: true, detail: processorText(hardware) },
    { check: "gpu", ok: true, detail: gpus.map(gpuText).join(", ") || "none seen" },
    ...(accelerators.length === 0 ? [] : [acceleratorFinding(accelerators)]),
    ...powerFindings(hardware),
    ...heatFindings(hardware),
  ];
}

function gpuText({ name, memoryBytes }: NonNullable<Hardware["gpus"]>[number]): string {
  return memoryBytes === undefined ? name : `${name} (${formatBytes(memoryBytes)})`;
}

function processorText({ cores, cpu, clusters = [], features = [] }: Hardware): string {
  const told = clusters.filter(({ maxMhz }) => maxMhz !== undefined);
  const groups = told.map((cluster) => `${cluster.cores} × ${cluster.maxMhz} MHz`);
  return [`${cores} cores ${cpu}`, groups.join(" + "), features.join(" ")].filter((part) => part !== "").join(", ");
}

function acceleratorFinding(accelerators: readonly string[]): Finding {
  const detail = `${accelerators.join(", ")}: seen, but ONNX Runtime has no provider for it here`;
  return { check: "accelerator", ok: true, warning: true, detail, cure: "models run on the providers listed below" };
}

function powerFindings({ power = {} }: Hardware): Finding[] {
  const { mode, governor } = power;
  if (mode === undefined && governor === undefined) return [];
  const detail = [mode && `mode ${mode}`, governor && `governor ${governor}`].filter((part) => part !== undefined);
  const found: Finding = { check: "power", ok: true, detail: detail.join(", ") };
  // On Intel's newer processors this governor still lets the frequency rise; elsewhere it pins it to the lowest.
  if (governor !== "powersave") return [found];
  const cure = "if the trial's figures are slow: cpupower frequency-set -g schedutil (or performance)";
  return [{ ...found, warning: true, cure }];
}

function heatFindings({ temperatures = [], throttling = [] }: Hardware): Finding[] {
  const [hottest] = [...temperatures].sort((a, b) => b.celsius - a.celsius);
  const found: Finding[] = [];
  if (hottest !== undefined) {
    const detail = `${hottest.celsius} °C (${hottest.zone})`;
    const hot = hottest.celsius >= hotCelsius;
    found.push({
      ...{ check: "temperature", ok: true, detail },
      ...(hot
        ? { warning: true, cure: "give it air or a heat sink; figures of a trial on a hot device are too slow" }
        : {}),
    });
  }
  if (throttling.length === 0) return [...found, { check: "throttling", ok: true, detail: "none" }];
  const weak = throttling.some((text) => text.includes("voltage"));
  const cure = weak
    ? "use the power supply and cable that the maker of the board recommends"
    : "give it air, or choose a higher power mode; then let the trial run again with a new rollout";
  return [...found, { check: "throttling", ok: true, warning: true, detail: throttling.join("; "), cure }];
}

/** Which ONNX Runtime is loaded, and which of its providers truly work. */
export function runtimeFindings({ version, build, providers, error }: RuntimeProbe, hardware: Hardware): Finding[] {
  if (error !== undefined) {
    const cure =
      "install the agent again for this platform (see README, 'Devices'), or correct the setting onnxruntime";
    return [{ check: "onnxruntime", ok: false, detail: error, cure }];
  }
  const working = providers.filter(({ fault }) => fault === undefined).map(({ provider }) => provider);
  const ok = working.includes(everywhere);
  const summary = `ONNX Runtime ${version}, build ${build}; runs models on ${working.join(", ") || "nothing"}`;
  const broken = ok ? {} : { cure: "install the agent again for this platform; see README, 'Devices'" };
  return [
    { check: "onnxruntime", ok, detail: summary, ...broken },
    ...providers.map((one) => providerFinding(one, hardware)),
    ...missing(providers, hardware),
  ];
}

function providerFinding({ provider, fault }: RuntimeProbe["providers"][number], hardware: Hardware): Finding {
  const check = "provider";
  if (fault === undefined) return { check, ok: true, detail: `${provider} works` };
  const detail = `${provider} does not work: ${firstLine(fault)}`;
  if (provider === everywhere) return { check, ok: false, detail, cure: "install the agent again for this platform" };
  if (!isNvidia(provider)) return { check, ok: true, detail };
  if (!hasNvidia(hardware)) return { check, ok: true, detail: `${provider} is not used: no NVIDIA GPU is seen` };
  return { check, ok: true, warning: true, detail, cure: builds };
}

/** A GPU for which this build has nothing at all. */
function missing(providers: RuntimeProbe["providers"], hardware: Hardware): Finding[] {
  if (!hasNvidia(hardware) || providers.some(({ provider }) => isNvidia(provider))) return [];
  return [
    {
      ...{ check: "provider", ok: true, warning: true },
      ...{ detail: "an NVIDIA GPU is seen, and this build of ONNX Runtime cannot use it", cure: builds },
    },
  ];
}

function isNvidia(provider: string): boolean {
  return provider === "cuda" || provider === "tensorrt";
}

function firstLine(text: string): string {
  const [line = ""] = text.split("\n");
  return line.slice(0, 400);
}

/** What bounds the time: a signed document was made before now, a certificate is valid now. */
export interface ClockBounds {
  readonly notBeforeMs: number;
  /** Where {@link notBeforeMs} comes from. */
  readonly from: string;
  /** Whether the system says that it keeps time with the network; undefined when it does not say. */
  readonly synchronised: boolean | undefined;
}

/** A signed document may be made on a clock that runs ahead a little. */
const clockMarginMs = 60_000;

/** Whether the clock can be right. */
export function clockFinding(nowMs: number, { notBeforeMs, from, synchronised }: ClockBounds): Finding {
  const cure = "set the clock from the network (timedatectl set-ntp true), and give the board a battery for it";
  if (nowMs < notBeforeMs - clockMarginMs) {
    const behind = Math.round((notBeforeMs - nowMs) / 60_000);
    return { check: "clock", ok: false, detail: `at least ${behind} min behind: ${from} is younger`, cure };
  }
  const detail = `${new Date(nowMs).toISOString()}, not before ${from}`;
  if (synchronised === false)
    return { check: "clock", ok: true, warning: true, detail: `${detail}; not synchronised`, cure };
  return { check: "clock", ok: true, detail: synchronised === true ? `${detail}; synchronised` : detail };
}
