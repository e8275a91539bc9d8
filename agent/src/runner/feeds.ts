import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { type Clock, type Log, type SinkReport, type SourceReport, sha256 } from "@muster/shared";
import { readIfThere, writeDurably } from "@muster/shared/node";
import type { BrokerConnector, HttpCaller } from "../ports.js";
import { AnswerSpool } from "./answer-spool.js";
import { AudioSource, type Stream } from "./audio-source.js";
import { type SinkSettings, type SourceSettings, shownAddress } from "./feed-settings.js";
import { FolderSource } from "./folder-source.js";
import { HttpSource } from "./http-source.js";
import { Intake } from "./intake.js";
import { JsonlSink } from "./jsonl-sink.js";
import { brokerTarget, MqttDelivery } from "./mqtt-delivery.js";
import { MqttSource } from "./mqtt-source.js";
import type { RunnerSettings } from "./protocol.js";
import type { Environment } from "./secret.js";
import type { Sink } from "./sink.js";
import type { Answerer, Source } from "./source.js";
import { type Delivery, SpooledSink } from "./spooled-sink.js";
import { VideoSource } from "./video-source.js";
import { Webhook } from "./webhook.js";

/** How the outside is reached, and what is read there. */
export interface Outside {
  readonly call: HttpCaller;
  readonly connect: BrokerConnector;
  readonly env: Environment;
}

export interface FeedsDeps {
  readonly settings: Pick<RunnerSettings, "sources" | "sinks" | "stateDir">;
  readonly answerer: Answerer;
  /** A recording that goes on, for a model; only what is heard is answered unless `everyPiece`. */
  readonly openStream: (model: string, everyPiece: boolean) => Answerer & Stream;
  readonly outside: Outside;
  readonly clock: Clock;
  readonly log: Log;
}

/** The sources and sinks of a runner. */
export class Feeds {
  readonly #sources: readonly Source[];
  readonly #sinks: readonly Sink[];

  private constructor(sources: readonly Source[], sinks: readonly Sink[]) {
    this.#sources = sources;
    this.#sinks = sinks;
  }

  /** Opens the sinks, and then has the sources begin. */
  static async start(deps: FeedsDeps): Promise<Feeds> {
    const { sources, sinks, stateDir } = deps.settings;
    const device = await ownName(join(stateDir, "client-id"));
    const opened = await Promise.all(sinks.map((settings) => openSink(settings, device, deps)));
    return new Feeds(await Promise.all(sources.map((settings) => openSource(settings, device, opened, deps))), opened);
  }

  status(): { sources: SourceReport[]; sinks: SinkReport[] } {
    return {
      sources: this.#sources.map((source) => source.status()),
      sinks: this.#sinks.map((sink) => sink.status()),
    };
  }

  /** Takes nothing more in, and makes safe what there is. */
  async close(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.close()));
    await Promise.all(this.#sinks.map((sink) => sink.close()));
  }
}

async function openSource(
  settings: SourceSettings,
  device: string,
  sinks: readonly Sink[],
  { settings: { stateDir }, answerer, openStream, outside, clock, log }: FeedsDeps,
): Promise<Source> {
  const about = { type: settings.type, target: sourceTarget(settings), model: settings.model };
  if (settings.type === "audio") {
    const stream = openStream(settings.model, settings.everyPiece);
    const intake = new Intake({ about, answerer: stream, sinks, clock, log });
    return new AudioSource({ settings, intake, stream, clock, env: outside.env });
  }
  const intake = new Intake({ about, answerer, sinks, clock, log });
  switch (settings.type) {
    case "folder":
      return FolderSource.start({ settings, stateDir, intake, clock });
    case "http":
      return new HttpSource({ settings, intake, clock, call: outside.call, env: outside.env });
    case "mqtt":
      return new MqttSource({ settings, intake, clock, ...outside, clientId: clientId(device, "source", settings) });
    case "video":
      return new VideoSource({ settings, intake, clock, env: outside.env });
  }
}

async function openSink(
  settings: SinkSettings,
  device: string,
  { settings: { stateDir, sinks }, outside, clock, log }: FeedsDeps,
): Promise<Sink> {
  if (settings.type === "jsonl") return new JsonlSink({ settings, clock, log });
  const delivery: Delivery =
    settings.type === "webhook"
      ? new Webhook({ settings, clock, call: outside.call, env: outside.env })
      : new MqttDelivery({
          settings,
          connect: outside.connect,
          env: outside.env,
          clientId: clientId(device, "sink", settings),
        });
  const place = nameOf(settings);
  // Two sinks with the same receiver are two sinks.
  const twin = sinks.slice(0, sinks.indexOf(settings)).filter((other) => nameOf(other) === place).length;
  const spool = await AnswerSpool.open(join(stateDir, twin === 0 ? place : `${place}-${twin}`), settings);
  return new SpooledSink({ settings, delivery, spool, clock, log });
}

/** Where a sink keeps what waits; the same as long as the receiver is. */
function nameOf(settings: SinkSettings): string {
  const receiver = settings.type === "jsonl" ? [settings.path] : [settings.url, "topic" in settings && settings.topic];
  return `${settings.type}-${sha256(JSON.stringify(receiver)).slice(0, 16)}`;
}

function sourceTarget(settings: SourceSettings): string {
  switch (settings.type) {
    case "folder":
      return settings.path.slice(0, 300);
    case "http":
      return shownAddress(settings.url);
    case "mqtt":
      return brokerTarget(settings);
    case "video":
    case "audio":
      return shownAddress(settings.input);
  }
}

/** A broker knows a client by this name and keeps what it has not acknowledged, so it must be the same after a restart. */
function clientId(
  device: string,
  way: "source" | "sink",
  settings: { url: string; topic: string; model?: string },
): string {
  const { url, topic, model } = settings;
  return `muster-${sha256(JSON.stringify([device, way, url, topic, model])).slice(0, 16)}`;
}

/** A random name that this device keeps. */
async function ownName(path: string): Promise<string> {
  const known = await readIfThere(path);
  if (known !== undefined && known !== "") return known;
  const name = randomBytes(12).toString("hex");
  await writeDurably(path, name);
  return name;
}
