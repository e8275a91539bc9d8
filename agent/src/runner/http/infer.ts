import { asMusterError, MusterError } from "@muster/shared";
import { boundaryOf, type Part, readMultipart } from "../../core/multipart.js";
import type { Inference, InputAnswers } from "../inference.js";
import type { LoadedSlot } from "../loaded-slot.js";
import { isInferRequest, maxRows, readInferRequest, type TensorRequest, withData } from "../oip/infer-request.js";
import { JsonThread } from "../oip/json-thread.js";
import type { Body } from "./body.js";
import type { Exchange } from "./exchange.js";
import { parseJson } from "./json-body.js";
import { maskReply, wantedMask } from "./mask-reply.js";
import { errorBody, jsonReply, jsonTextReply, type Reply } from "./reply.js";

/** What answers, and what reads and writes the protocol's JSON. */
export interface InferDeps {
  readonly inference: Inference;
  readonly json: JsonThread;
}

/** Types that say nothing of what the bytes are; the bytes themselves do. */
const untold = ["", "application/octet-stream"];

/**
 * Answers what a client sends to a model: tensors by the Open Inference Protocol, an input as the model's pipeline takes it,
 * or several in a form. `inService` gives the version that is to answer now; it throws when there is none.
 */
export async function infer(exchange: Exchange, deps: InferDeps, inService: () => LoadedSlot): Promise<Reply> {
  const { inference } = deps;
  const { mediaType, request } = exchange;
  const { priority } = exchange.wishes();
  const before = inService();
  refuseType(exchange, before);
  inference.refuseWhenFull(before, priority ?? "normal");
  const body = await exchange.body();
  // While a body arrives, another version may have come in service and this one been released.
  const to = inService();
  if (mediaType === "multipart/form-data") return answerForm(exchange, inference, to, body);
  const headerLength = request.headers["inference-header-content-length"];
  if (headerLength !== undefined) {
    return answerTensors(exchange, deps, to, binaryRequest(to, body, lengthOf(headerLength)));
  }
  if (mediaType !== "application/json") return answerInput(exchange, inference, to, body);
  const takesJson = to.pipeline.accepts.includes("application/json");
  // A request of the protocol is no list, and a large list is not read here.
  if (takesJson && isList(body.whole())) return answerInput(exchange, inference, to, body);
  if (JsonThread.takes(body.length)) return answerLarge(exchange, deps, inService, body);
  const asked = readAtOnce(body, to, takesJson);
  return asked === undefined ? answerInput(exchange, inference, to, body) : answerTensors(exchange, deps, to, asked);
}

/** While a large request is read, too, another version may come in service; what is asked has to fit the one that answers. */
async function answerLarge(
  exchange: Exchange,
  deps: InferDeps,
  inService: () => LoadedSlot,
  body: Body,
): Promise<Reply> {
  const ticket = exchange.ticket(exchange.wishes());
  for (;;) {
    const to = inService();
    const takesJson = to.pipeline.accepts.includes("application/json");
    const asked = await deps.json.read(body.whole(), to.slot.manifest, takesJson, ticket);
    if (inService() !== to) continue;
    if (asked === undefined) return answerInput(exchange, deps.inference, to, body);
    return answerTensors(exchange, deps, to, asked);
  }
}

/** A small request; undefined for JSON that is for the model's own pipeline. */
function readAtOnce(body: Body, { slot: { manifest } }: LoadedSlot, orPlain: boolean): TensorRequest | undefined {
  const json = parseJson(body.whole());
  return orPlain && !isInferRequest(json) ? undefined : readInferRequest(json, body.tail(body.length), manifest);
}

/** JSON of so many bytes, and behind it the numbers. */
function binaryRequest({ requests, slot }: LoadedSlot, body: Body, length: number): TensorRequest {
  return withData(requests.checked(body.head(length), parseJson), body.tail(length), slot.manifest);
}

/** Whether JSON begins as a list does. */
function isList(bytes: Buffer): boolean {
  return /^\s*\[/.test(bytes.toString("latin1", 0, 100));
}

/** Before the body is read: what cannot be taken need not come. Throws `request/unsupported-type`. */
function refuseType({ mediaType, request }: Exchange, to: LoadedSlot): void {
  const encoding = request.headers["content-encoding"] ?? "identity";
  if (encoding !== "identity") {
    throw new MusterError("request/unsupported-type", `the body is encoded as ${encoding}; send it as it is`);
  }
  if (untold.includes(mediaType) || to.pipeline.accepts.includes(mediaType)) return;
  const types = [...new Set([...to.pipeline.accepts, "application/json", "multipart/form-data"])];
  if (types.includes(mediaType)) return;
  const hint = mediaType === "application/x-www-form-urlencoded" ? ` (with curl: -H 'content-type: ${types[0]}')` : "";
  const message = `the content type is ${mediaType}, but must be one of ${types.join(", ")}${hint}`;
  throw new MusterError("request/unsupported-type", message);
}

async function answerInput(exchange: Exchange, inference: Inference, to: LoadedSlot, body: Body): Promise<Reply> {
  const type = untold.includes(exchange.mediaType) ? "" : (exchange.request.headers["content-type"] ?? "");
  const ticket = exchange.ticket(exchange.wishes());
  const answers = await inference.input(to, body.whole(), type, ticket);
  const mask = wantedMask(exchange.request.headers.accept, answers);
  return mask === undefined ? jsonReply(200, plainAnswer(answers)) : maskReply(mask, answers);
}

function plainAnswer({ model, version, answers, list, latencyMs }: InputAnswers) {
  const names = { model_name: model, model_version: version };
  return list ? { ...names, answers, latencyMs } : { ...names, ...answers[0], latencyMs };
}

async function answerTensors(
  exchange: Exchange,
  { inference, json }: InferDeps,
  to: LoadedSlot,
  request: TensorRequest,
): Promise<Reply> {
  const inHeaders = exchange.wishes();
  const { priority = inHeaders.priority, timeoutMs = inHeaders.timeoutMs } = request.wishes;
  const names = request.outputs.map(({ name }) => name);
  const ticket = exchange.ticket({ priority, timeoutMs });
  const tensors = await inference.tensors(to, request.inputs, names, ticket);
  const answer = await json.write(to.slot, request, tensors, ticket);
  if (answer.binary.length === 0) return jsonTextReply(200, answer.json);
  const headers = {
    "content-type": "application/octet-stream",
    "inference-header-content-length": Buffer.byteLength(answer.json),
  };
  return { status: 200, headers, body: [answer.json, ...answer.binary] };
}

/** Each file of a form has its own answer or error, in the order of the form. */
async function answerForm(exchange: Exchange, inference: Inference, to: LoadedSlot, body: Body): Promise<Reply> {
  const boundary = boundaryOf(exchange.request.headers["content-type"] ?? "");
  if (boundary === undefined) throw new MusterError("request/invalid", "the content type names no boundary");
  const parts = readMultipart(body.whole(), boundary, maxRows);
  if (typeof parts === "string") throw new MusterError("request/invalid", parts);
  if (parts.length === 0) throw new MusterError("request/invalid", "the form has no files; add some");
  const ticket = exchange.ticket(exchange.wishes());
  const answers = await Promise.all(
    parts.map((part) => answerPart(part, (type) => inference.input(to, part.bytes, type, ticket))),
  );
  const [refused] = answers.flatMap(({ refusal }) => (refusal === undefined ? [] : [refusal]));
  if (refused !== undefined && answers.every(({ refusal }) => refusal !== undefined)) throw refused;
  const { model, version } = to.slot;
  return jsonReply(200, { model_name: model, model_version: version, answers: answers.map(({ answer }) => answer) });
}

async function answerPart(
  { name, fileName, contentType }: Part,
  ask: (type: string) => Promise<InputAnswers>,
): Promise<{ answer: object; refusal?: MusterError }> {
  const file = fileName ?? name;
  try {
    const { answers, list, latencyMs } = await ask(untold.includes(contentType) ? "" : contentType);
    return { answer: list ? { file, answers, latencyMs } : { file, ...answers[0], latencyMs } };
  } catch (error) {
    const refusal = asMusterError(error);
    return { answer: { file, ...errorBody(refusal) }, refusal };
  }
}

function lengthOf(header: string | string[]): number {
  const length = Number(header);
  if (/^\d{1,10}$/.test(String(header))) return length;
  throw new MusterError(
    "request/invalid",
    `Inference-Header-Content-Length is '${header}', but must be a number of bytes`,
  );
}
