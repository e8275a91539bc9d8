/** The bit of CAP_SYS_NICE in a set of capabilities (capabilities(7)). */
const sysNice = 1n << 23n;

/**
 * Whether a Linux process may give a thread of its own back a nice value that the thread has left for a higher one: by
 * CAP_SYS_NICE, or by a limit of RLIMIT_NICE, which allows 20 minus itself and more (getrlimit(2)). The texts are those of
 * `/proc/self/status` and `/proc/self/limits`; false when they do not say.
 */
export function mayReturnTo(nice: number, { status, limits }: { status: string; limits: string }): boolean {
  const capabilities = /^CapEff:\s+([0-9a-f]+)$/m.exec(status)?.[1];
  if (capabilities !== undefined && (BigInt(`0x${capabilities}`) & sysNice) !== 0n) return true;
  const limit = /^Max nice priority\s+(\d+|unlimited)\s/m.exec(limits)?.[1];
  return limit === "unlimited" || (limit !== undefined && 20 - Number(limit) <= nice);
}
