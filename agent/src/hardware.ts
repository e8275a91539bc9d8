import { statfs } from "node:fs/promises";
import { arch, availableParallelism, cpus, platform, totalmem } from "node:os";
import type { Hardware } from "@muster/shared";
import { acceleratorsOf, gpusOf } from "./facts/accelerators.js";
import { boardOf, jetsonOf, powerOf } from "./facts/board.js";
import { temperaturesOf, throttlingOf } from "./facts/heat.js";
import { nvidiaMemory } from "./facts/nvidia.js";
import { processorOf } from "./facts/processor.js";
import { FactTree } from "./facts/tree.js";

/** What is not read from the kernel's files. */
export interface HardwareOf {
  /** Whose disk counts. */
  readonly dataDir: string;
  /** What the inference library says of itself. */
  readonly runtime: Pick<Hardware, "providers" | "onnxruntime">;
  /** The folder that holds `proc`, `sys`, `dev` and `etc`. */
  readonly root?: string;
  /** Memory of NVIDIA's GPUs, in bytes; what the driver's tool of this machine says unless given. */
  readonly gpuMemory?: () => Promise<readonly number[]>;
  /** What Node says of the machine. */
  readonly machine?: Pick<Hardware, "platform" | "arch" | "cores">;
}

/** Facts of the machine, as its files say. Facts that cannot be read are absent; nothing is thrown for them. */
export async function readHardware({ dataDir, runtime, root, gpuMemory, machine }: HardwareOf): Promise<Hardware> {
  const tree = new FactTree(root);
  const { bavail, bsize } = await statfs(dataDir);
  const { cpu, features, clusters } = await processorOf(tree);
  const jetson = await jetsonOf(tree);
  return {
    ...(machine ?? thisMachine()),
    board: await boardOf(tree),
    cpu: cpu ?? cpus()[0]?.model.trim() ?? "unknown",
    memoryBytes: await memoryOf(tree),
    freeDiskBytes: bavail * bsize,
    providers: [...runtime.providers],
    ...(runtime.onnxruntime === undefined ? {} : { onnxruntime: runtime.onnxruntime }),
    ...(jetson === undefined ? {} : { jetson }),
    ...{ features, clusters },
    gpus: await withMemory(await gpusOf(tree, jetson !== undefined), gpuMemory ?? nvidiaMemory),
    temperatures: await temperaturesOf(tree),
    throttling: await throttlingOf(tree),
    power: await powerOf(tree),
    accelerators: await acceleratorsOf(tree),
  };
}

function thisMachine(): Pick<Hardware, "platform" | "arch" | "cores"> {
  return { platform: platform(), arch: arch(), cores: availableParallelism() };
}

type Gpus = NonNullable<Hardware["gpus"]>;

/** The GPUs with the memory that no file tells of. */
async function withMemory(gpus: Gpus, gpuMemory: () => Promise<readonly number[]>): Promise<Gpus> {
  const own = gpus.filter(({ name, shared, memoryBytes }) => name.includes("NVIDIA") && !shared && !memoryBytes);
  if (own.length === 0) return gpus;
  const sizes = await gpuMemory();
  return gpus.map((gpu) => {
    const memoryBytes = sizes[own.indexOf(gpu)];
    return memoryBytes === undefined ? gpu : { ...gpu, memoryBytes };
  });
}

/** Memory in bytes: what the kernel has, or what a container may use of it. */
async function memoryOf(tree: FactTree): Promise<number> {
  const kibibytes = /^MemTotal:\s+(\d+) kB/m.exec((await tree.text("/proc/meminfo")) ?? "")?.[1];
  const bytes = kibibytes === undefined ? totalmem() : Number(kibibytes) * 1024;
  return Math.min(bytes, (await tree.integer("/sys/fs/cgroup/memory.max")) ?? bytes);
}
