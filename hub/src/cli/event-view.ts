import type { HubEvent } from "@muster/shared";
import type { Style } from "./style.js";
import { localTime } from "./time.js";

/** An event in one line: when, where, what, and its fields. */
export function eventLine({ atMs, device, kind, fields }: HubEvent, style: Style): string {
  const details = Object.entries(fields).map(([key, value]) => `${key}=${fieldText(value)}`);
  const line = [style.dim(localTime(atMs)), (device ?? "hub").padEnd(16), style.bold(kind), ...details].join(" ");
  return line.replace(/\s*\n\s*/g, " ").trimEnd();
}

function fieldText(value: unknown): string {
  if (typeof value === "string" && /^[^\s"]+$/.test(value)) return value;
  return JSON.stringify(value) ?? String(value);
}
