import type { Hardware } from "@muster/shared";

/**
 * What figures of a trial, or an engine built for this device, belong to: the build of ONNX Runtime and every fact that
 * decides how it runs. What changes by itself, such as free disk and temperature, is not part of it.
 */
export function machineKey(hardware: Hardware): string {
  const { platform, arch, board, cpu, cores, memoryBytes, providers, onnxruntime } = hardware;
  const { jetson, features, clusters, gpus, power, accelerators } = hardware;
  const facts = { jetson, features, clusters, gpus, power, accelerators };
  return JSON.stringify({ platform, arch, board, cpu, cores, memoryBytes, providers, onnxruntime, ...facts });
}
