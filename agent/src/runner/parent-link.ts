import { type Log, type LogFields, parseWith } from "@muster/shared";
import { RunnerCall, type Slot } from "./protocol.js";
import { toWire, type WireError } from "./wire-error.js";

/** Agent to runner: one call, answered under the same number. */
export interface ToRunner {
  readonly id: number;
  readonly call: RunnerCall;
}

/** Runner to agent: the answer to a call, or a line for the agent's log. */
export type FromRunner =
  | { readonly kind: "answer"; readonly id: number; readonly value: unknown }
  | { readonly kind: "error"; readonly id: number; readonly error: WireError }
  /** Its modules are loaded; it waits for its first call. */
  | { readonly kind: "up" }
  /** An engine call of this version does not return, and its thread cannot be ended. */
  | { readonly kind: "hang"; readonly manifestDigest: string; readonly model: string; readonly version: string }
  | { readonly kind: "log"; readonly level: keyof Log; readonly event: string; readonly fields: LogFields };

/** Answers the agent's calls. `end` is called once: when the agent asks for the end, or when it is gone. */
export function answerCalls(handle: (call: RunnerCall) => Promise<unknown>, end: () => void): void {
  process.on("message", (message: ToRunner) => void answer(message, handle));
  // Ctrl-C reaches the whole process group; the agent decides when its runner ends.
  process.on("SIGINT", () => undefined);
  let ended = false;
  const endOnce = () => {
    if (!ended) end();
    ended = true;
  };
  process.once("SIGTERM", endOnce);
  process.once("disconnect", endOnce);
  say({ kind: "up" });
}

/** Tells the agent of a version that hangs; it ends this process. */
export function tellHang({ manifestDigest, model, version }: Slot): void {
  say({ kind: "hang", manifestDigest, model, version });
}

/** A log whose lines go to the agent, which writes them. */
export function parentLog(): Log {
  const at =
    (level: keyof Log) =>
    (event: string, fields: LogFields = {}) =>
      say({ kind: "log", level, event, fields: plain(fields) });
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

async function answer({ id, call }: ToRunner, handle: (call: RunnerCall) => Promise<unknown>): Promise<void> {
  try {
    const value = await handle(parseWith(RunnerCall, call, "message/invalid", "the call"));
    say({ kind: "answer", id, value });
  } catch (error) {
    say({ kind: "error", id, error: toWire(error) });
  }
}

/** Without an agent nobody is there to be told. */
function say(message: FromRunner): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

/** Errors lose their code on the way unless they are made plain. */
function plain(fields: LogFields): LogFields {
  const entries = Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? toWire(value) : value]);
  return Object.fromEntries(entries) as LogFields;
}
