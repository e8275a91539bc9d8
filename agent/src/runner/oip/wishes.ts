import { invalid } from "@muster/shared";
import { type Priority, priorities } from "../../core/line.js";
import { longestTimeoutMs, type Wishes } from "../ticket.js";

/** Numbers, as Triton's clients send them: 0 is the default, 1 the most urgent. */
const numbered: readonly (Priority | undefined)[] = [undefined, "high", "normal", "low"];

/**
 * What the parameters of a request wish: `priority` as a word or a number (1 high, 2 normal, 3 and more low, 0 as if it were
 * not there) and `timeout` in microseconds, 0 for none of its own. Throws `request/invalid`.
 */
export function wishesOf({ priority, timeout }: { readonly priority?: unknown; readonly timeout?: unknown }): Wishes {
  const timeoutMs = timeout === undefined || timeout === 0 ? undefined : Number(timeout) / 1000;
  return {
    priority: priority === undefined ? undefined : readPriority(priority, "parameters.priority"),
    timeoutMs: timeoutMs === undefined ? undefined : checkedMs(timeoutMs, "parameters.timeout"),
  };
}

/** What the headers of a request wish: `muster-priority` and `muster-timeout-ms`. Throws `request/invalid`. */
export function headerWishes(headers: Readonly<Record<string, string | string[] | undefined>>): Wishes {
  const { "muster-priority": priority, "muster-timeout-ms": timeout } = headers;
  return {
    priority: priority === undefined ? undefined : readPriority(priority, "muster-priority"),
    timeoutMs: timeout === undefined ? undefined : checkedMs(Number(timeout), "muster-timeout-ms"),
  };
}

function readPriority(value: unknown, field: string): Priority | undefined {
  const word = priorities.find((priority) => priority === value);
  if (word !== undefined) return word;
  const number = Number(value);
  if (value !== "" && Number.isInteger(number) && number >= 0) return numbered[Math.min(number, 3)];
  throw invalid("request/invalid", "the request", [{ field, message: `must be one of ${priorities.join(", ")}` }]);
}

function checkedMs(ms: number, field: string): number {
  if (ms > 0 && ms <= longestTimeoutMs) return ms;
  const message = `must be a time of more than 0 and at most ${longestTimeoutMs} ms`;
  throw invalid("request/invalid", "the request", [{ field, message }]);
}
