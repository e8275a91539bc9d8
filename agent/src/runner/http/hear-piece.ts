import { MusterError } from "@muster/shared";
import type { AudioStreams } from "../audio-streams.js";
import type { LoadedSlot } from "../loaded-slot.js";
import type { Exchange } from "./exchange.js";
import { jsonReply, type Reply } from "./reply.js";

/** Bytes of a sample, and its value between −1 and 1. */
const formats = {
  s16le: { bytes: 2, read: (view: DataView, at: number) => view.getInt16(at, true) / 32_768 },
  f32le: { bytes: 4, read: (view: DataView, at: number) => view.getFloat32(at, true) },
} as const;

/** The name of the stream that a request is a piece of; undefined for a request by itself. Throws `request/invalid`. */
export function streamName({ request }: Exchange): string | undefined {
  const name = request.headers["muster-stream"];
  if (name === undefined) return undefined;
  if (typeof name === "string" && /^[A-Za-z0-9._-]{1,64}$/.test(name)) return name;
  throw new MusterError("request/invalid", "muster-stream must be a name of 1 to 64 of A-Z a-z 0-9 . _ -");
}

/**
 * Hears the next piece of a stream: samples of one channel at the model's rate, `audio/pcm; rate=16000; format=s16le`. An empty body
 * ends the recording.
 */
export async function hearPiece(
  exchange: Exchange,
  streams: AudioStreams,
  stream: string,
  inService: () => LoadedSlot,
): Promise<Reply> {
  const { model } = inService().slot;
  const samplesIn = reader(exchange, streams.rateOf(model));
  const bytes = samplesIn((await exchange.body()).whole());
  const { version, answer } = await streams.hear({ model, stream, bytes });
  const names = { model_name: model, model_version: version };
  return jsonReply(200, { ...names, ...(answer ?? { active: [], events: [] }) });
}

/** Makes float32 samples of a body by its content type. Throws `request/unsupported-type`, `request/invalid`. */
function reader({ mediaType, request }: Exchange, wanted: number): (body: Uint8Array) => Uint8Array {
  const parameters = new Map(
    (request.headers["content-type"] ?? "").split(";").map((part) => {
      const [name = "", value = ""] = part.trim().toLowerCase().split("=");
      return [name, value.replaceAll('"', "")];
    }),
  );
  const { rate = String(wanted), channels = "1", format = "s16le" } = Object.fromEntries(parameters);
  const known = format === "s16le" || format === "f32le" ? formats[format] : undefined;
  if (rate !== String(wanted) || channels !== "1" || known === undefined) {
    const message = `the model hears audio/pcm; rate=${wanted}; channels=1; format=s16le or f32le; with ffmpeg: -ar ${wanted} -ac 1 -f s16le`;
    throw new MusterError("request/unsupported-type", message);
  }
  return (body) => {
    if (body.length > 0 && mediaType !== "audio/pcm") {
      const message = `a piece of a stream is audio/pcm; rate=${wanted}, not ${mediaType === "" ? "of no type" : mediaType}`;
      throw new MusterError("request/unsupported-type", message);
    }
    if (body.length % known.bytes !== 0) {
      const message = `the piece has ${body.length} bytes, but a sample has ${known.bytes}; send whole samples`;
      throw new MusterError("request/invalid", message);
    }
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    const samples = Float32Array.from({ length: body.length / known.bytes }, (_, at) =>
      known.read(view, at * known.bytes),
    );
    return new Uint8Array(samples.buffer);
  };
}
