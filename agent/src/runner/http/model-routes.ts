import { MusterError } from "@muster/shared";
import type { AudioStreams } from "../audio-streams.js";
import type { Inference } from "../inference.js";
import type { LoadedSlot } from "../loaded-slot.js";
import type { JsonThread } from "../oip/json-thread.js";
import { modelMetadata } from "../oip/model-metadata.js";
import type { Slots } from "../slots.js";
import type { Exchange } from "./exchange.js";
import { hearPiece, streamName } from "./hear-piece.js";
import { infer } from "./infer.js";
import { jsonReply } from "./reply.js";
import type { Route } from "./routes.js";

export interface ModelRoutesDeps {
  readonly slots: Slots;
  readonly inference: Inference;
  readonly json: JsonThread;
  readonly streams: AudioStreams;
  /** The version of this program. */
  readonly version: string;
}

/** What the Open Inference Protocol asks of a server and its models, and the plain way beside it. */
export function modelRoutes({ slots, inference, json, streams, version }: ModelRoutesDeps): Route[] {
  return [
    {
      method: "GET",
      path: "/v2",
      answer: () => jsonReply(200, { name: "muster", version, extensions: ["binary_tensor_data"] }),
    },
    { method: "GET", path: "/v2/health/live", open: true, answer: () => jsonReply(200, { live: true }) },
    {
      method: "GET",
      path: "/v2/health/ready",
      open: true,
      answer: () => {
        const ready = slots.names().length > 0;
        return jsonReply(ready ? 200 : 503, { ready });
      },
    },
    ...["/v2/models/{model}", "/v2/models/{model}/versions/{version}"].flatMap((path): Route[] => [
      { method: "GET", path, answer: (exchange) => describe(slots, exchange) },
      { method: "GET", path: `${path}/ready`, answer: (exchange) => ready(slots, exchange) },
      {
        method: "POST",
        path: `${path}/infer`,
        answer: (exchange) => {
          const serving = () => inService(slots, exchange);
          const stream = streamName(exchange);
          return stream === undefined
            ? infer(exchange, { inference, json }, serving)
            : hearPiece(exchange, streams, stream, serving);
        },
      },
    ]),
  ];
}

function describe(slots: Slots, exchange: Exchange) {
  const { slot } = named(slots, exchange);
  const versions = slots.versions(slot.model).map((loaded) => loaded.slot.version);
  return jsonReply(200, modelMetadata(slot.model, versions, slot.manifest));
}

function ready(slots: Slots, exchange: Exchange) {
  const loaded = named(slots, exchange);
  const { model, version } = loaded.slot;
  if (slots.serves(loaded)) return jsonReply(200, { name: model, ready: true });
  throw new MusterError("runner/not-serving", `version ${version} of ${model} is loaded, but not in service`);
}

function named(slots: Slots, { params: { model = "", version } }: Exchange): LoadedSlot {
  return version === undefined ? slots.serving(model) : slots.version(model, version);
}

/** Only what is in service answers: another version would not be what the hub decided on. */
function inService(slots: Slots, { params: { model = "", version } }: Exchange): LoadedSlot {
  const serving = slots.serving(model);
  const { version: actual } = serving.slot;
  if (version === undefined || version === actual) return serving;
  throw new MusterError("model/unknown", `version ${version} of ${model} is not in service; version ${actual} is`);
}
