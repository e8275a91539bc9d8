/** What the hub answered: checked and safe to print, and exactly as it came. */
export interface Answer<T> {
  readonly value: T;
  readonly raw: unknown;
}

/**
 * The value with control characters removed from every text in it. Devices choose much of what
 * an operator reads, and a terminal would obey their escape sequences.
 */
export function printable<T>(value: T): T {
  return cleaned(value) as T;
}

function cleaned(value: unknown): unknown {
  if (typeof value === "string")
    return value.replace(/\p{Cc}/gu, (sign) => (sign === "\n" || sign === "\t" ? sign : ""));
  if (Array.isArray(value)) return value.map(cleaned);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [cleaned(key), cleaned(item)]));
}
