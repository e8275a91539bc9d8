/**
 * The thread of one session: running a model blocks the thread it is called on, so nothing else lives here.
 */
import { parentPort, workerData } from "node:worker_threads";
import { bytesOfTensors } from "@muster/shared/inference";
import { Engine, type EngineSpec } from "./engine.js";
import type { EngineJob, EngineResult, FromEngine, ToEngine } from "./engine-protocol.js";
import { toWire } from "./wire-error.js";

const port = parentPort;
if (port === null) throw new Error("engine-worker.js is started as a worker thread by the runner");
const say = (message: FromEngine, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);

try {
  const engine = await Engine.open(workerData as EngineSpec);
  port.on("message", (message: ToEngine) => {
    if (message === "close") void engine.close().finally(() => port.close());
    else void answer(engine, message.job);
  });
  say({ kind: "ready" });
} catch (error) {
  say({ kind: "fatal", error: toWire(error) });
}

async function answer(engine: Engine, job: EngineJob): Promise<void> {
  try {
    const result = await run(engine, job);
    say({ kind: "answer", result }, bytesOfTensors(result.outputs ?? []));
  } catch (error) {
    say({ kind: "error", error: toWire(error) });
  }
}

function run(engine: Engine, job: EngineJob): Promise<EngineResult> {
  return job.kind === "inputs" ? engine.inputs(job.inputs) : engine.tensors(job.inputs, job.outputs);
}
