/**
 * The thread of one session at a time: running a model blocks the thread it is called on, so nothing else lives here.
 */
import { parentPort } from "node:worker_threads";
import { messageOf } from "@muster/shared";
import { bytesOfTensors } from "@muster/shared/inference";
import { Engine, type EngineSpec } from "./engine.js";
import { runBatch } from "./engine-batch.js";
import { bytesOfJob, type EngineJob, type EngineOutcome, type FromEngine, type ToEngine } from "./engine-protocol.js";
import { stepAside } from "./step-aside.js";
import { toWire } from "./wire-error.js";

const port = parentPort;
if (port === null) throw new Error("engine-worker.js is started as a worker thread by the runner");
const say = (message: FromEngine, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);

/** The session that the thread has now. */
class Desk {
  #engine: Engine | undefined;
  /** This thread did not get its rank back once, and would sink with every load. */
  #sinks = false;

  take(message: ToEngine): void {
    if (message === "release") void this.#release().then(() => say({ kind: "released" }));
    else if (message === "close") void this.#release().then(() => port?.close());
    else if ("spec" in message) void this.#open(message.spec);
    else if (this.#engine !== undefined) void answer(this.#engine, message.jobs);
  }

  async #open(spec: EngineSpec): Promise<void> {
    try {
      const open = () => Engine.open(spec);
      const aside = spec.aside === true && !this.#sinks;
      const engine = await (aside ? stepAside(open, (reason) => this.#sink(reason)) : open());
      this.#engine = engine;
      const { placement, providerBytes } = engine;
      say({ kind: "ready", providerBytes, ...(placement === undefined ? {} : { placement }) });
    } catch (error) {
      say({ kind: "fatal", error: toWire(error) });
    }
  }

  #sink(reason: unknown): void {
    if (!this.#sinks) process.emitWarning(`an engine thread stays behind the others: ${messageOf(reason)}`);
    this.#sinks = true;
  }

  async #release(): Promise<void> {
    const leaving = this.#engine;
    this.#engine = undefined;
    await leaving?.close().catch(() => undefined);
  }
}

const desk = new Desk();
port.on("message", (message: ToEngine) => desk.take(message));

async function answer(engine: Engine, jobs: readonly EngineJob[]): Promise<void> {
  const outcomes = await outcomesOf(engine, jobs);
  const outputs = outcomes.flatMap((outcome) => ("result" in outcome ? (outcome.result.outputs ?? []) : []));
  // Pictures come in memory that is made for each of them.
  const spent = jobs.flatMap((job) => (job.kind === "tensors" ? bytesOfJob(job) : []));
  say({ kind: "outcomes", outcomes, spent }, [...bytesOfTensors(outputs), ...spent]);
}

/** A batch that fails is taken apart, so that one bad input does not cost the others their answer. */
async function outcomesOf(engine: Engine, jobs: readonly EngineJob[]): Promise<EngineOutcome[]> {
  try {
    return (await runBatch(engine, jobs)).map((result) => ({ result }));
  } catch (error) {
    if (jobs.length === 1) return [{ error: toWire(error) }];
  }
  const outcomes: EngineOutcome[] = [];
  for (const job of jobs) outcomes.push(...(await outcomesOf(engine, [job])));
  return outcomes;
}
