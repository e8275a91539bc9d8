import { readFile, statfs } from "node:fs/promises";
import { arch, availableParallelism, cpus, platform, totalmem } from "node:os";
import type { Hardware } from "@muster/shared";

/**
 * Facts of the machine. `providers` come from who knows the inference library. The board is what the
 * device tree says (Raspberry Pi, Jetson), else the firmware's product name.
 */
export async function readHardware(dataDir: string, providers: readonly string[]): Promise<Hardware> {
  const { bavail, bsize } = await statfs(dataDir);
  return {
    platform: platform(),
    arch: arch(),
    board:
      (await firstLine("/proc/device-tree/model")) ?? (await firstLine("/sys/class/dmi/id/product_name")) ?? "unknown",
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    freeDiskBytes: bavail * bsize,
    providers: [...providers],
  };
}

async function firstLine(path: string): Promise<string | undefined> {
  try {
    const text = await readFile(path, "utf8");
    return text.replaceAll("\0", "").split("\n")[0]?.trim() || undefined;
  } catch {
    // Not every machine has these files; "unknown" is the answer then.
    return undefined;
  }
}
