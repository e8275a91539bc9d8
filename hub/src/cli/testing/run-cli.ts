import { type ChildProcess, spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { ExitWith } from "@muster/shared/node";
import type { Io } from "../io.js";
import { cliProgram } from "../program.js";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface Circumstances {
  readonly terminal?: boolean;
  readonly env?: Io["env"];
  /** Aborted when the program asks for Ctrl-C and this says so. */
  readonly interrupt?: AbortSignal;
}

/** A fixed moment, so that relative times in outputs are known. */
export const nowMs = 1_750_000_000_000;

/**
 * Runs a command line in this process; sleeping only moves its clock. Errors come as they are
 * thrown, but for {@link ExitWith}, whose message ends up in `err` as it would on stderr.
 */
export async function runCliHere(argv: readonly string[], circumstances: Circumstances = {}): Promise<Ran> {
  const { terminal = false, env = {}, interrupt = new AbortController().signal } = circumstances;
  const written = { out: "", err: "" };
  let clockMs = nowMs;
  const output = (to: "out" | "err") => ({
    write: (part: string) => {
      written[to] += part;
    },
    isTerminal: terminal,
    columns: 100,
  });
  const io: Io = {
    out: output("out"),
    err: output("err"),
    env,
    home: "/nonexistent",
    clock: {
      now: () => clockMs,
      steady: () => clockMs,
      sleep: async (ms, signal) => {
        signal?.throwIfAborted();
        clockMs += ms;
      },
    },
    interrupted: () => interrupt,
  };
  try {
    await cliProgram(io).parseAsync([...argv], { from: "user" });
    return { code: 0, ...written };
  } catch (error) {
    if (!(error instanceof ExitWith)) throw error;
    return { code: error.exitCode, out: written.out, err: `${written.err}${error.message}\n` };
  }
}

/** Starts `muster` as a process of its own, as a user does. */
export function startMuster(argv: readonly string[], env: Io["env"] = {}) {
  const main = fileURLToPath(new URL("../main.js", import.meta.url));
  return spawn(process.execPath, [main, ...argv], {
    env: { HOME: "/nonexistent", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** The exit code of a process, once it has ended; -1 when a signal ended it. */
export function endOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? -1));
  });
}

/** Runs `muster` to its end. */
export async function runMuster(argv: readonly string[], env: Io["env"] = {}): Promise<Ran> {
  const child = startMuster(argv, env);
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), endOf(child)]);
  return { code, out, err };
}
