import type { Log, LogFields } from "../ports.js";

/** How much is told; each level includes those after it. */
export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Keys whose values never reach a log. */
const secret = /secret|token|password|private|authorization/i;

/** A log of JSON lines: time, level, event, then the fields; errors with code and cause, secrets blanked. */
export function jsonLog(write: (line: string) => void, level: LogLevel = "info", fixed: LogFields = {}): Log {
  const from = logLevels.indexOf(level);
  const at =
    (name: LogLevel) =>
    (event: string, fields: LogFields = {}) => {
      if (logLevels.indexOf(name) < from) return;
      const head = { time: new Date().toISOString(), level: name, event };
      write(
        `${lineOf({ ...head, ...fixed, ...fields, ...head }) ?? lineOf({ ...head, unloggable: Object.keys(fields) })}\n`,
      );
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** The line, or undefined when the fields cannot be JSON; a log must not stop the program. */
function lineOf(fields: LogFields): string | undefined {
  try {
    return JSON.stringify(fields, plain);
  } catch {
    return undefined;
  }
}

function plain(key: string, value: unknown): unknown {
  if (secret.test(key) && (typeof value === "string" || (typeof value === "object" && value !== null)))
    return "[hidden]";
  if (typeof value === "bigint") return String(value);
  if (!(value instanceof Error)) return value;
  const { name, message, code, cause, stack } = value as Error & { code?: string };
  const unexpected = code === undefined || code === "internal";
  return {
    name,
    code,
    message,
    cause: cause instanceof Error ? cause.message : cause,
    stack: unexpected ? stack : undefined,
  };
}
