import { type ChildProcess, fork } from "node:child_process";
import { getPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { type Log, MusterError, messageOf, type ShadowPlan } from "@muster/shared";
import type { RunnerEnding, RunnerFault, RunnerProcess } from "../ports.js";
import type { FromRunner, ToRunner } from "./parent-link.js";
import type { Pulse, RunnerCall, RunnerSettings, RunnerStatus, RunnerWindow, Slot } from "./protocol.js";
import { putFirst } from "./put-first.js";
import type { ServingSettings } from "./serving-settings.js";
import { fromWire } from "./wire-error.js";
import { marksPath, versionsAtWork } from "./work-marks.js";

export interface RunnerHostOptions {
  readonly settings: RunnerSettings;
  readonly log: Log;
  /** Its environment; the agent's own when it is not given. */
  readonly env?: NodeJS.ProcessEnv;
  /** The program of the runner. */
  readonly script?: URL;
  /** How long a call may take; a runner that does not answer in time hangs, and is killed. */
  readonly limitsMs?: Partial<Record<RunnerCall["do"], number>>;
}

type Exit = Pick<RunnerEnding, "code" | "signal">;

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** A large model on a small board loads for minutes; all else is a matter of seconds, with room for a busy machine. */
const defaultLimitsMs: Readonly<Record<RunnerCall["do"], number>> = {
  configure: 60_000,
  load: 600_000,
  activate: 30_000,
  unload: 120_000,
  shadow: 30_000,
  "pause-shadows": 30_000,
  "take-windows": 30_000,
  status: 30_000,
  pulse: 20_000,
};
const startLimitMs = 60_000;
const closeLimitMs = 6000;
/**
 * MB of young generation per thread: V8 would take up to 32, and half of what the runner needs would be garbage. Heaps as
 * small are collected with less work by one thread than by four that have to be woken.
 */
const collector = ["--max-semi-space-size=1", "--single-threaded-gc"];

/** The runner as a process of its own. It is not started again by itself: {@link start} may be called after an exit. */
export class RunnerHost implements RunnerProcess {
  readonly #options: RunnerHostOptions;
  readonly #priority = getPriority();
  readonly #listeners: ((ending: RunnerEnding) => void)[] = [];
  readonly #pending = new Map<number, Pending>();
  #child: ChildProcess | undefined;
  /** Resolves when the process has loaded its modules, or has ended. */
  #up: () => void = () => undefined;
  /** Why the process was killed. */
  #killed: { readonly fault: RunnerFault; readonly detail: string; readonly suspects?: readonly string[] } | undefined;
  #port: number | undefined;
  #configured = false;
  #nextId = 1;

  constructor(options: RunnerHostOptions) {
    this.#options = options;
  }

  /** The id of the process, when one runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get serving(): ServingSettings | undefined {
    return this.#port === undefined ? undefined : { ...this.#options.settings.serving, port: this.#port };
  }

  onExit(listener: (ending: RunnerEnding) => void): void {
    this.#listeners.push(listener);
  }

  /** Starts the process; a no-op when it runs. Throws `port/in-use`, `config/invalid`, `runner/crashed`. */
  async start(beforeListening: () => Promise<void> = async () => undefined): Promise<void> {
    if (this.#child !== undefined) return;
    const { settings, env, script = new URL("./main.js", import.meta.url) } = this.#options;
    const child = fork(fileURLToPath(script), [], {
      ...(env === undefined ? {} : { env }),
      serialization: "advanced",
      execArgv: [...process.execArgv, ...collector],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#child = child;
    this.#killed = undefined;
    this.#configured = false;
    const up = new Promise<void>((resolve) => {
      this.#up = resolve;
    });
    child.on("message", (message: FromRunner) => this.#heard(message));
    child.once("exit", (code, signal) => this.#ended(child, { code, signal }));
    child.once("error", (error) => {
      // Not even a process came of it; then there is no exit either.
      if (child.pid === undefined) this.#ended(child, { code: null, signal: null }, messageOf(error));
    });
    putFirst(child, this.#priority, this.#options.log);
    try {
      const upTimer = setTimeout(() => this.kill("hang", "the runner did not start in time"), startLimitMs);
      await up;
      clearTimeout(upTimer);
      await beforeListening();
      // Applications keep the address of the first start.
      await this.#call({ do: "configure", settings: { ...settings, serving: this.serving ?? settings.serving } });
      const { url } = (await this.#call({ do: "status" })) as RunnerStatus;
      if (url !== undefined) this.#port = Number(new URL(url).port);
    } catch (error) {
      // It lives and cannot work: the caller is told by this error, not by an exit. One that hangs is killed already.
      const crashed = error instanceof MusterError && error.code === "runner/crashed";
      if (this.#child === child && !crashed) await this.close();
      throw error;
    }
  }

  async pulse(): Promise<Pulse> {
    return (await this.#call({ do: "pulse" })) as Pulse;
  }

  kill(fault: RunnerFault, detail: string): void {
    this.#killed ??= { fault, detail };
    this.#child?.kill("SIGKILL");
  }

  async load(slot: Slot): Promise<void> {
    await this.#call({ do: "load", slot });
  }

  async activate(manifestDigest: string): Promise<void> {
    await this.#call({ do: "activate", manifestDigest });
  }

  async shadow(manifestDigest: string, plan: ShadowPlan): Promise<void> {
    await this.#call({ do: "shadow", manifestDigest, plan });
  }

  async pauseShadows(paused: boolean): Promise<void> {
    await this.#call({ do: "pause-shadows", paused });
  }

  async unload(manifestDigest: string): Promise<void> {
    await this.#call({ do: "unload", manifestDigest });
  }

  async takeWindows(): Promise<RunnerWindow[]> {
    return (await this.#call({ do: "take-windows" })) as RunnerWindow[];
  }

  async status(): Promise<RunnerStatus> {
    return (await this.#call({ do: "status" })) as RunnerStatus;
  }

  /** Ends the process: asks it first, then kills it. No listener is called. */
  async close(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#forget("the runner was closed");
    this.#up();
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), closeLimitMs);
    await exited;
    clearTimeout(timer);
  }

  #call(call: RunnerCall): Promise<unknown> {
    const child = this.#child;
    // A process that starts takes calls only once it was told what it is to be.
    this.#configured ||= call.do === "configure";
    if (child === undefined || !this.#configured)
      return Promise.reject(new MusterError("runner/crashed", "the runner does not run now"));
    const id = this.#nextId;
    this.#nextId += 1;
    const limitMs = this.#options.limitsMs?.[call.do] ?? defaultLimitsMs[call.do];
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const detail = `the runner did not answer '${call.do}' within ${limitMs} ms and was killed`;
        this.#take(id)?.reject(new MusterError("runner/crashed", detail));
        this.kill("hang", detail);
      }, limitMs);
      this.#pending.set(id, {
        resolve: (value) => {
          clearTimeout(timer);
          resolve(value);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      const message: ToRunner = { id, call };
      child.send(message, (error) => {
        if (error === null) return;
        this.#take(id)?.reject(
          new MusterError("runner/crashed", "the runner ended before it was asked", { cause: error }),
        );
      });
    });
  }

  #heard(message: FromRunner): void {
    if (message.kind === "up") this.#up();
    else if (message.kind === "hang") this.#hangs(message);
    else if (message.kind === "log") this.#options.log[message.level](message.event, message.fields);
    else if (message.kind === "answer") this.#take(message.id)?.resolve(message.value);
    else this.#take(message.id)?.reject(fromWire(message.error));
  }

  /** Others may be at work at this moment; only this version does not return. */
  #hangs({ model, version, manifestDigest }: Extract<FromRunner, { kind: "hang" }>): void {
    const detail = `an engine call of ${model} ${version} did not return; the runner was killed`;
    this.#killed ??= { fault: "hang", detail, suspects: [manifestDigest] };
    this.kill("hang", detail);
  }

  /** The process ended without being asked to. */
  #ended(child: ChildProcess, exit: Exit, why = `with ${exit.signal ?? `exit code ${exit.code}`}`): void {
    if (this.#child !== child) return;
    this.#forget(`the runner ended ${why} before it answered`);
    this.#up();
    const atWork = versionsAtWork(marksPath(this.#options.settings.stateDir));
    const killed = this.#killed ?? { fault: "crash", detail: `the runner crashed ${why}` };
    for (const listener of this.#listeners) listener({ ...exit, suspects: atWork, ...killed });
  }

  #forget(why: string): void {
    this.#child = undefined;
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of waiting) reject(new MusterError("runner/crashed", why));
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }
}
