/** A version in memory, as far as its size goes. */
export interface Loaded {
  /** What the process of a trial may take, by its manifest; MB. */
  readonly memoryMb?: number | undefined;
  /** Engine threads, each with the model once more. */
  readonly threads: number;
}

const megabyte = 1_000_000;
/** From this share of the cap on, versions that are only kept warm go. */
const warmShare = 0.9;
/** With a smaller share of the machine's memory free, nothing is kept warm. */
const leastFree = 0.05;

/**
 * What the runner's process may take, in bytes: the setting, else the budgets of all versions in memory, once per thread,
 * and what their providers take by themselves. Undefined when neither says so.
 */
export function memoryCapBytes(settingMb: number, loaded: readonly Loaded[], providerBytes = 0): number | undefined {
  if (settingMb > 0) return settingMb * megabyte;
  if (loaded.length === 0) return undefined;
  let sum = 0;
  for (const { memoryMb, threads } of loaded) {
    if (memoryMb === undefined) return undefined;
    sum += memoryMb * Math.max(1, threads);
  }
  return sum * megabyte + providerBytes;
}

/** Whether memory is too short to keep anything that does not serve. */
export function isShort(
  { rssBytes, capBytes }: { readonly rssBytes: number; readonly capBytes?: number | undefined },
  { freeBytes, totalBytes }: { readonly freeBytes: number; readonly totalBytes: number },
): boolean {
  return (capBytes !== undefined && rssBytes > capBytes * warmShare) || freeBytes < totalBytes * leastFree;
}

/** What was seen of the runner's size: whether it was over its cap, and why it must be killed now. */
export interface Look {
  readonly over: boolean;
  readonly kill?: string;
}

/** Judges a look after the one before: a runner that is over its cap twice in a row has to go; a single peak may pass. */
export function overCap(
  pulse: { readonly rssBytes: number; readonly capBytes?: number } | undefined,
  before: Look,
): Look {
  if (pulse?.capBytes === undefined || pulse.rssBytes <= pulse.capBytes) return { over: false };
  if (!before.over) return { over: true };
  const [taken, cap] = [pulse.rssBytes, pulse.capBytes].map((bytes) => Math.round(bytes / megabyte));
  return { over: false, kill: `the runner took ${taken} MB, its limit is ${cap} MB; it was killed` };
}
