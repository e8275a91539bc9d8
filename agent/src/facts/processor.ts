import type { Hardware } from "@muster/shared";
import type { FactTree } from "./tree.js";

type Cluster = NonNullable<Hardware["clusters"]>[number];

/** What the processors are. */
export interface Processor {
  readonly cpu: string | undefined;
  readonly features: string[];
  /** The fastest first; empty when the kernel does not tell speeds. */
  readonly clusters: Cluster[];
}

/** Names of ARM's `CPU part`; see the MIDR values in the kernel's `cputype.h`. */
const armParts: Readonly<Record<string, string>> = {
  "0xd03": "Cortex-A53",
  "0xd04": "Cortex-A35",
  "0xd05": "Cortex-A55",
  "0xd07": "Cortex-A57",
  "0xd08": "Cortex-A72",
  "0xd09": "Cortex-A73",
  "0xd0a": "Cortex-A75",
  "0xd0b": "Cortex-A76",
  "0xd0c": "Neoverse-N1",
  "0xd40": "Neoverse-V1",
  "0xd41": "Cortex-A78",
  "0xd42": "Cortex-A78AE",
  "0xd44": "Cortex-X1",
  "0xd46": "Cortex-A510",
  "0xd47": "Cortex-A710",
  "0xd49": "Neoverse-N2",
  "0xd4d": "Cortex-A715",
};

/** The features that decide how fast a model runs, by the kernel's word for them. */
const featureNames: Readonly<Record<string, string>> = {
  asimddp: "dotprod",
  asimdhp: "fp16",
  i8mm: "i8mm",
  bf16: "bf16",
  sve: "sve",
  sve2: "sve2",
  avx2: "avx2",
  fma: "fma",
  avx512f: "avx512f",
  avx512_vnni: "avx512_vnni",
  avx_vnni: "avx_vnni",
  amx_int8: "amx_int8",
};

/** Cores slower than this share of the next faster one are of another cluster. */
const sameSpeed = 0.85;

interface Core {
  /** Hyperthreads of one core share it. */
  readonly id: string;
  readonly cpu: string | undefined;
  /** In the kernel's own measure; only compared. */
  readonly speed: number;
  readonly maxMhz: number | undefined;
}

/** Reads what the kernel says of the processors. */
export async function processorOf(tree: FactTree): Promise<Processor> {
  const blocks = ((await tree.text("/proc/cpuinfo")) ?? "").split(/\n\s*\n/).map(fieldsOf);
  const first = blocks[0] ?? {};
  const words = new Set((first.Features ?? first.flags ?? "").split(/\s+/));
  const features = Object.entries(featureNames).flatMap(([word, name]) => (words.has(word) ? [name] : []));
  const clusters = clustersOf(await coresOf(tree, blocks));
  const parts = [...new Set(blocks.map(partName).filter((name) => name !== undefined))];
  return { cpu: first["model name"] ?? (parts.length === 0 ? undefined : parts.join(" + ")), features, clusters };
}

function fieldsOf(block: string): Readonly<Record<string, string>> {
  const lines = block.split("\n").map((line) => line.split(":"));
  return Object.fromEntries(lines.map(([name = "", ...value]) => [name.trim(), value.join(":").trim()]));
}

function partName(fields: Readonly<Record<string, string>>): string | undefined {
  return armParts[fields["CPU part"]?.toLowerCase() ?? ""];
}

async function coresOf(tree: FactTree, blocks: readonly Readonly<Record<string, string>>[]): Promise<Core[]> {
  const cores = new Map<string, Core>();
  for (const name of await tree.names("/sys/devices/system/cpu", /^cpu\d+$/)) {
    const folder = `/sys/devices/system/cpu/${name}`;
    if ((await tree.integer(`${folder}/online`)) === 0) continue;
    const maxKhz = await tree.integer(`${folder}/cpufreq/cpuinfo_max_freq`);
    const capacity = await tree.integer(`${folder}/cpu_capacity`);
    const block = blocks.find(({ processor }) => `cpu${processor}` === name);
    const place = [
      await tree.text(`${folder}/topology/physical_package_id`),
      await tree.text(`${folder}/topology/core_id`),
    ];
    // ARM kernels number the cores of every cluster from 0, but ARM has no hyperthreads here.
    const id = block?.["CPU part"] !== undefined || place.includes(undefined) ? name : place.join("/");
    const maxMhz = maxKhz === undefined ? undefined : Math.round(maxKhz / 1000);
    cores.set(id, { id, cpu: block && partName(block), speed: capacity ?? maxMhz ?? 0, maxMhz });
  }
  return [...cores.values()].sort((a, b) => b.speed - a.speed);
}

/** Cores in the order of their speed, cut where the speed drops. */
function clustersOf(cores: readonly Core[]): Cluster[] {
  const groups: Core[][] = [];
  for (const core of cores) {
    const group = groups.at(-1);
    if (group === undefined || core.speed < (group[0]?.speed ?? 0) * sameSpeed) groups.push([core]);
    else group.push(core);
  }
  return groups.map((group) => {
    const [{ cpu, maxMhz }] = group as [Core];
    return {
      cores: group.length,
      ...(cpu === undefined ? {} : { cpu }),
      ...(maxMhz === undefined ? {} : { maxMhz }),
    };
  });
}
