/** The model that the firmware of a Raspberry Pi 4 writes into the device tree, and that it is none. */
export const boardModel = "Raspberry Pi 4 Model B (emulated)";

/**
 * What `/proc/cpuinfo` says there. ONNX Runtime reads it to choose its kernels, and crashes when it finds an x64
 * machine's, which an emulator lets through.
 */
export function cpuInfo(cores: number): string {
  const core = (number: number) =>
    [
      `processor\t: ${number}`,
      "BogoMIPS\t: 108.00",
      "Features\t: fp asimd evtstrm crc32 cpuid",
      "CPU implementer\t: 0x41",
      "CPU architecture: 8",
      "CPU variant\t: 0x0",
      "CPU part\t: 0xd08",
      "CPU revision\t: 3",
    ].join("\n");
  const cpus = Array.from({ length: cores }, (_, number) => `${core(number)}\n\n`);
  return `${cpus.join("")}Model\t\t: ${boardModel}\n`;
}
