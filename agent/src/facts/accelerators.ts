import type { Hardware } from "@muster/shared";
import type { FactTree } from "./tree.js";

type Gpu = NonNullable<Hardware["gpus"]>[number];

/** Nodes in /dev that drivers of accelerators make. */
const nodes: readonly (readonly [RegExp, string])[] = [
  [/^hailo\d+$/, "Hailo"],
  [/^apex_\d+$/, "Coral Edge TPU (PCIe)"],
  [/^(?:nvhost-ctrl-)?nvdla\d+$/, "NVIDIA DLA"],
  [/^fastrpc-cdsp/, "Qualcomm Hexagon"],
  [/^rknpu/, "Rockchip NPU"],
];
/** Drivers behind /dev/accel and the display nodes. */
const drivers: Readonly<Record<string, string>> = {
  intel_vpu: "Intel NPU",
  rocket: "Rockchip NPU",
  RKNPU: "Rockchip NPU",
  amdxdna: "AMD XDNA NPU",
  etnaviv: "Vivante GPU or NPU",
};
/** Vendor and product of the Edge TPU on USB, before and after its firmware is loaded. */
const usbAccelerators: Readonly<Record<string, string>> = {
  "1a6e:089a": "Coral Edge TPU (USB)",
  "18d1:9302": "Coral Edge TPU (USB)",
};
/** GPU drivers, by the name in the device's uevent. */
const gpuDrivers: Readonly<Record<string, string>> = {
  amdgpu: "AMD GPU",
  i915: "Intel GPU",
  xe: "Intel GPU",
  v3d: "VideoCore GPU",
  panthor: "Mali GPU",
  panfrost: "Mali GPU",
  mali: "Mali GPU",
  msm: "Adreno GPU",
};

/** Accelerators that a driver is there for. */
export async function acceleratorsOf(tree: FactTree): Promise<string[]> {
  const found: string[] = [];
  for (const [pattern, name] of nodes) if ((await tree.names("/dev", pattern)).length > 0) found.push(name);
  for (const driver of await driversOf(tree)) found.push(...(drivers[driver] === undefined ? [] : [drivers[driver]]));
  for (const device of await tree.names("/sys/bus/usb/devices", /^[\d.-]+$/)) {
    const folder = `/sys/bus/usb/devices/${device}`;
    const name = usbAccelerators[`${await tree.text(`${folder}/idVendor`)}:${await tree.text(`${folder}/idProduct`)}`];
    if (name !== undefined) found.push(name);
  }
  return [...new Set(found)].slice(0, 16);
}

/** GPUs that a driver is there for. */
export async function gpusOf(tree: FactTree, jetson: boolean): Promise<Gpu[]> {
  const gpus: Gpu[] = jetson ? [{ name: "NVIDIA GPU of the Jetson module", shared: true }] : [];
  for (const place of await tree.names("/proc/driver/nvidia/gpus", /./)) {
    const about = (await tree.text(`/proc/driver/nvidia/gpus/${place}/information`)) ?? "";
    gpus.push({ name: /^Model:\s*(.+)$/m.exec(about)?.[1]?.trim() ?? "NVIDIA GPU", shared: false });
  }
  // In a container the devices may be there without what the driver says of them.
  if (gpus.length === 0 && (await tree.names("/dev", /^nvidia\d+$/)).length > 0) {
    gpus.push({ name: "NVIDIA GPU", shared: false });
  }
  for (const node of await tree.names("/sys/class/drm", /^renderD\d+$/)) {
    const folder = `/sys/class/drm/${node}/device`;
    const name = gpuDrivers[driverOf(await tree.text(`${folder}/uevent`)) ?? ""];
    if (name === undefined) continue;
    const memoryBytes = await tree.integer(`${folder}/mem_info_vram_total`);
    gpus.push(memoryBytes === undefined ? { name, shared: true } : { name, memoryBytes, shared: false });
  }
  return gpus.slice(0, 16);
}

async function driversOf(tree: FactTree): Promise<string[]> {
  const found: string[] = [];
  for (const kind of ["accel", "drm"]) {
    for (const name of await tree.names(`/sys/class/${kind}`, /^(?:accel|renderD)\d+$/)) {
      const driver = driverOf(await tree.text(`/sys/class/${kind}/${name}/device/uevent`));
      if (driver !== undefined) found.push(driver);
    }
  }
  return found;
}

function driverOf(uevent: string | undefined): string | undefined {
  return /^DRIVER=(.+)$/m.exec(uevent ?? "")?.[1]?.trim();
}
