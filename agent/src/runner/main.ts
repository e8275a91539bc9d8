/**
 * The runner: the process that holds the models. It serves applications by HTTP, feeds sources through
 * the models, and does what the agent asks of it over the channel it was started with.
 */
import { readFileSync } from "node:fs";
import { MusterError } from "@muster/shared";
import { installedProviders, runtimeBuild, runtimeVersion } from "@muster/shared/inference";
import { systemClock } from "@muster/shared/node";
import type { BrokerConnector, HttpCaller } from "../ports.js";
import { AudioStream } from "./audio-stream.js";
import { AudioStreams } from "./audio-streams.js";
import { Buffers } from "./buffers.js";
import { Feeds } from "./feeds.js";
import { metricsRoute } from "./http/metrics.js";
import { modelRoutes } from "./http/model-routes.js";
import { openApiRoute } from "./http/openapi.js";
import { type HttpServer, serveHttp } from "./http/server.js";
import { Traffic } from "./http/traffic.js";
import { Inference } from "./inference.js";
import { JsonThread } from "./oip/json-thread.js";
import { answerCalls, parentLog, tellHang } from "./parent-link.js";
import type { RunnerCall, RunnerSettings, RunnerStatus } from "./protocol.js";
import { Shadows } from "./shadow.js";
import { Slots } from "./slots.js";
import { SpareThreads } from "./spare-threads.js";
import { Windows } from "./windows.js";
import { marksPath, WorkMarks } from "./work-marks.js";

type Work = Exclude<RunnerCall, { do: "configure" }>;

/** When the agent is gone, or waits for the end, nothing may hold this process longer. */
const closeLimitMs = 4000;

const log = parentLog();

/** Libraries that only some sources and sinks need take memory only where there are such. */
const callHttp: HttpCaller = async (request) => (await import("../adapters/got-http.js")).callHttp(request);
const connectBroker: BrokerConnector = async (options) =>
  (await import("../adapters/mqtt-session.js")).connectBroker(options);

/** Everything a runner is made of, in the order it is put together. */
class Parts {
  readonly windows = new Windows(() => systemClock.now());
  readonly slots: Slots;
  readonly shadows: Shadows;
  readonly onnxruntime = { version: runtimeVersion(), build: runtimeBuild() };
  server: HttpServer | undefined;
  feeds: Feeds | undefined;
  readonly #settings: RunnerSettings;
  readonly #buffers = new Buffers();
  readonly #json = new JsonThread();
  readonly #inference: Inference;

  constructor(settings: RunnerSettings) {
    this.#settings = settings;
    const { workers, maxWorkers, batch, batchLimit, memoryMb, runLimitMs, stateDir, maxQueue, maxQueued } = settings;
    this.slots = new Slots({
      ...{
        workers,
        maxWorkers,
        batch,
        batchLimit,
        buffers: this.#buffers,
        memoryMb,
        runLimitMs,
        log,
        onHang: tellHang,
      },
      marks: new WorkMarks(marksPath(stateDir)),
      spares: new SpareThreads(workers),
    });
    const { slots, windows } = this;
    this.shadows = new Shadows({ slots, windows, random: Math.random });
    this.#inference = new Inference({ slots, windows, shadows: this.shadows, maxQueue, maxQueued });
  }

  /** Throws `port/in-use`, `config/invalid`. */
  async start(): Promise<void> {
    const { slots, windows } = this;
    const inference = this.#inference;
    const version = ownVersion();
    const traffic = new Traffic();
    const streams = new AudioStreams({ slots, inference }, this.#settings.serving);
    const models = modelRoutes({ slots, inference, json: this.#json, streams, version });
    const routes = [...models, metricsRoute({ slots, windows, traffic }), openApiRoute(version)];
    const deps = { routes, traffic, buffers: this.#buffers, clock: systemClock, log };
    this.server = await serveHttp(deps, this.#settings.serving);
    this.feeds = await Feeds.start({
      settings: this.#settings,
      answerer: {
        state: (model) => inference.state(model),
        answer: async (model, bytes, contentType) => inference.input(slots.serving(model), bytes, contentType),
      },
      openStream: (model, everyPiece) => new AudioStream({ slots, inference }, model, everyPiece),
      ...{ outside: { call: callHttp, connect: connectBroker, env: process.env }, clock: systemClock, log },
    });
  }

  async handle(call: Work): Promise<unknown> {
    const { slots, windows } = this;
    switch (call.do) {
      case "load":
        return slots.load(call.slot);
      case "activate":
        return slots.activate(call.manifestDigest);
      case "shadow":
        return this.shadows.begin(call.manifestDigest, call.plan);
      case "pause-shadows":
        return this.shadows.pause(call.paused);
      case "unload":
        return slots.unload(call.manifestDigest);
      case "take-windows":
        return windows.take(process.memoryUsage().rss);
      case "status":
        return this.#status();
      case "pulse":
        return slots.pulse(process.memoryUsage.rss());
    }
  }

  /** Takes nothing more in, answers what there is, and makes it safe. */
  async close(): Promise<void> {
    await Promise.all([this.server?.close(), this.feeds?.close()]);
    await Promise.all([this.slots.close(), this.#json.close()]);
  }

  #status(): RunnerStatus {
    const { server, slots, feeds, onnxruntime } = this;
    return {
      onnxruntime,
      ...(server === undefined ? {} : { url: server.url }),
      providers: installedProviders(),
      models: slots.status(),
      usage: { ...slots.usage(process.memoryUsage.rss()), maxQueued: this.#settings.maxQueued },
      ...(feeds?.status() ?? { sources: [], sinks: [] }),
    };
  }
}

function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return String(version);
}

function main(): void {
  let parts: Parts | undefined;
  const handle = async (call: RunnerCall): Promise<unknown> => {
    if (call.do === "configure") {
      if (parts !== undefined) throw new MusterError("internal", "a runner is configured once");
      parts = new Parts(call.settings);
      return parts.start();
    }
    if (parts === undefined)
      throw new MusterError("internal", "a runner is configured before it is asked for anything");
    return parts.handle(call);
  };
  const end = async () => {
    setTimeout(() => process.exit(1), closeLimitMs);
    await parts?.close();
    process.exit(0);
  };
  answerCalls(handle, () => void end());
}

main();
