/** When and how much this device may fetch: for links that are metered, or busy by day. */
export interface AllowanceRules {
  /** Minutes of the local day; from after to means over midnight. Undefined for always. */
  readonly hours: { readonly from: number; readonly to: number } | undefined;
  /** Bytes of artifacts per local day; 0 for no limit. */
  readonly bytesPerDay: number;
}

/** What was fetched on a day. */
export interface Spent {
  /** Local date, `2026-03-01`. */
  readonly day: string;
  readonly bytes: number;
}

/** A moment as the rules see it. */
export interface LocalTime {
  readonly day: string;
  /** Minutes since local midnight. */
  readonly minutes: number;
}

/** Why nothing may be fetched now; undefined when it may. */
export function pauseReason({ hours, bytesPerDay }: AllowanceRules, spent: Spent, now: LocalTime): string | undefined {
  if (hours !== undefined && !within(hours, now.minutes)) {
    return `artifacts are fetched from ${clockText(hours.from)} to ${clockText(hours.to)} only`;
  }
  if (bytesPerDay > 0 && spent.day === now.day && spent.bytes >= bytesPerDay) {
    return `the ${bytesPerDay} bytes of today are used up`;
  }
  return undefined;
}

/** Bytes of artifacts that may still be fetched today; infinitely many without a limit. */
export function leftBytes({ bytesPerDay }: AllowanceRules, spent: Spent, { day }: LocalTime): number {
  if (bytesPerDay === 0) return Number.POSITIVE_INFINITY;
  return Math.max(0, bytesPerDay - (spent.day === day ? spent.bytes : 0));
}

/** What was fetched, with so many bytes more; a new day begins at nothing. */
export function withSpent(spent: Spent, bytes: number, { day }: LocalTime): Spent {
  return { day, bytes: (spent.day === day ? spent.bytes : 0) + bytes };
}

/** Reads `22:00-06:00`; undefined when it is no such span. */
export function parseHours(text: string): { from: number; to: number } | undefined {
  const [, h1, m1, h2, m2] = (/^(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})$/.exec(text) ?? []).map(Number);
  if (h1 === undefined || m1 === undefined || h2 === undefined || m2 === undefined) return undefined;
  if (h1 > 23 || h2 > 24 || m1 > 59 || m2 > 59) return undefined;
  return { from: h1 * 60 + m1, to: h2 * 60 + m2 };
}

function within({ from, to }: { from: number; to: number }, minutes: number): boolean {
  return from <= to ? minutes >= from && minutes < to : minutes >= from || minutes < to;
}

function clockText(minutes: number): string {
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}
