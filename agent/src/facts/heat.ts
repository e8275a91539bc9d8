import type { Hardware } from "@muster/shared";
import type { FactTree } from "./tree.js";

/** What the Raspberry Pi's firmware tells, by bit; 16 higher means that it was so since the start. */
const firmwareBits: readonly (readonly [bit: number, text: string])[] = [
  [0, "the power supply gives too little voltage"],
  [1, "the processor's frequency is capped"],
  [2, "the firmware throttles the processor"],
  [3, "the soft temperature limit is reached"],
];
const sinceStart = 16;
/** A limit below this share of what the processor could do is a limit; kernels round. */
const capped = 0.95;

/** The temperature of every zone that tells one. */
export async function temperaturesOf(tree: FactTree): Promise<NonNullable<Hardware["temperatures"]>> {
  const zones: NonNullable<Hardware["temperatures"]> = [];
  for (const name of await tree.names("/sys/class/thermal", /^thermal_zone\d+$/)) {
    const milli = await tree.integer(`/sys/class/thermal/${name}/temp`);
    const zone = (await tree.text(`/sys/class/thermal/${name}/type`)) ?? name;
    // A zone that is powered down tells a temperature below any weather, or none.
    if (milli !== undefined && milli > -100_000) zones.push({ zone, celsius: Math.round(milli / 100) / 10 });
  }
  return zones.slice(0, 64);
}

/** What holds the processor back, in words. */
export async function throttlingOf(tree: FactTree): Promise<string[]> {
  const found = [await firmware(tree), await cooling(tree), await frequencyLimit(tree), await packageCount(tree)];
  return found.flat().slice(0, 16);
}

async function firmware(tree: FactTree): Promise<string[]> {
  const text = await tree.text("/sys/devices/platform/soc/soc:firmware/get_throttled");
  const bits = text === undefined ? 0 : Number.parseInt(text, 16);
  return firmwareBits.flatMap(([bit, words]) => {
    if ((bits >> bit) & 1) return [words];
    return (bits >> (bit + sinceStart)) & 1 ? [`${words} (not now, but since the start)`] : [];
  });
}

/** Cooling devices other than fans slow something down when they work. */
async function cooling(tree: FactTree): Promise<string[]> {
  const active: string[] = [];
  for (const name of await tree.names("/sys/class/thermal", /^cooling_device\d+$/)) {
    const type = (await tree.text(`/sys/class/thermal/${name}/type`)) ?? "";
    const state = (await tree.integer(`/sys/class/thermal/${name}/cur_state`)) ?? 0;
    if (state > 0 && /cpu|processor|gpu|devfreq/i.test(type)) active.push(`heat slows down ${type} (step ${state})`);
  }
  return active;
}

/** x86 processors count how often they were too hot. */
async function packageCount(tree: FactTree): Promise<string[]> {
  const path = "/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count";
  const count = (await tree.integer(path)) ?? 0;
  return count > 0 ? [`the processor was too hot ${count} times since the start`] : [];
}

async function frequencyLimit(tree: FactTree): Promise<string[]> {
  const folder = "/sys/devices/system/cpu/cpu0/cpufreq";
  const [now, could] = [
    await tree.integer(`${folder}/scaling_max_freq`),
    await tree.integer(`${folder}/cpuinfo_max_freq`),
  ];
  if (now === undefined || could === undefined || now >= could * capped) return [];
  return [`the processor is limited to ${Math.round(now / 1000)} of ${Math.round(could / 1000)} MHz`];
}
