/** The bit of CAP_SYS_NICE in a set of capabilities (capabilities(7)). */
const sysNice = 1n << 23n;

/** The map of the initial user namespace (user_namespaces(7)): every id is itself. */
const allIds = /^\s*0\s+0\s+4294967295\s*$/;

/** Of `/proc/self/`, what {@link mayReturnTo} reads. */
export interface ProcessTexts {
  readonly status: string;
  readonly limits: string;
  readonly uid_map: string;
}

/**
 * Whether a Linux process may give a thread of its own back a nice value that the thread has left for a higher one: by
 * CAP_SYS_NICE, which counts in the initial user namespace only and not for the root of a container with ids of its own, or
 * by a limit of RLIMIT_NICE, which allows 20 minus itself and more (getrlimit(2)). False when the texts do not say.
 */
export function mayReturnTo(nice: number, { status, limits, uid_map }: ProcessTexts): boolean {
  const capabilities = /^CapEff:\s+([0-9a-f]+)$/m.exec(status)?.[1];
  if (capabilities !== undefined && allIds.test(uid_map) && (BigInt(`0x${capabilities}`) & sysNice) !== 0n) return true;
  const limit = /^Max nice priority\s+(\d+|unlimited)\s/m.exec(limits)?.[1];
  return limit === "unlimited" || (limit !== undefined && 20 - Number(limit) <= nice);
}
