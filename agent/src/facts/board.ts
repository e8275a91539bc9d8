import type { Hardware } from "@muster/shared";
import type { FactTree } from "./tree.js";

type Jetson = NonNullable<Hardware["jetson"]>;

/** What NVIDIA calls the JetPack around each L4T release; see https://developer.nvidia.com/embedded/jetpack-archive. */
const jetpacks: readonly (readonly [l4t: string, jetpack: string])[] = [
  ["36.5", "6.2.2"],
  ["36.4.4", "6.2.1"],
  ["36.4.3", "6.2"],
  ["36.4", "6.1"],
  ["36.3", "6.0"],
  ["35.6", "5.1.4"],
  ["35.5", "5.1.3"],
  ["35.4", "5.1.2"],
  ["35.3", "5.1.1"],
  ["35.2", "5.1"],
  ["35.1", "5.0.2"],
  ["32.7", "4.6"],
];

/** What the device tree says the board is, else the firmware of a PC; `unknown` when neither does. */
export async function boardOf(tree: FactTree): Promise<string> {
  const model = await tree.text("/proc/device-tree/model");
  if (model !== undefined) return model;
  const [vendor, product] = [
    await tree.text("/sys/class/dmi/id/sys_vendor"),
    await tree.text("/sys/class/dmi/id/product_name"),
  ];
  if (product === undefined) return vendor ?? "unknown";
  return vendor === undefined || product.startsWith(vendor) ? product : `${vendor} ${product}`;
}

/** Module and release of a Jetson; undefined on anything else. */
export async function jetsonOf(tree: FactTree): Promise<Jetson | undefined> {
  const compatible = (await tree.text("/proc/device-tree/compatible"))?.split("\0") ?? [];
  const release = await tree.text("/etc/nv_tegra_release");
  if (!compatible.some((name) => name.startsWith("nvidia,tegra")) && release === undefined) return undefined;
  // Carrier and module are named in one entry, `nvidia,p3768-0000+p3767-0005`.
  const module = compatible.find((name) => /^nvidia,p\d+/.test(name))?.replace("nvidia,", "");
  const soc = compatible.find((name) => name.startsWith("nvidia,tegra"))?.replace("nvidia,", "");
  const found = /R(\d+)\s*\(release\),\s*REVISION:\s*([\d.]+)/.exec(release ?? "");
  const l4t = found === null ? undefined : `${found[1]}.${found[2]}`;
  const jetpack = jetpacks.find(([prefix]) => l4t === prefix || l4t?.startsWith(`${prefix}.`))?.[1];
  return {
    module: module ?? soc ?? "unknown",
    ...(l4t === undefined ? {} : { l4t }),
    ...(jetpack === undefined ? {} : { jetpack }),
  };
}

/** The power mode of a Jetson and the governor of the first core. */
export async function powerOf(tree: FactTree): Promise<NonNullable<Hardware["power"]>> {
  const governor = await tree.text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  const mode = await powerModel(tree);
  return { ...(mode === undefined ? {} : { mode }), ...(governor === undefined ? {} : { governor }) };
}

/** nvpmodel keeps the number of the mode in one file and its name in another. */
async function powerModel(tree: FactTree): Promise<string | undefined> {
  const number = /pmode:0*(\d+)/.exec((await tree.text("/var/lib/nvpmodel/status")) ?? "")?.[1];
  if (number === undefined) return undefined;
  const models = (await tree.text("/etc/nvpmodel.conf")) ?? "";
  return new RegExp(`POWER_MODEL\\s+ID=${number}\\s+NAME=(\\S+)`).exec(models)?.[1] ?? number;
}
