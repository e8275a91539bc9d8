/** The thread that reads and writes large JSON, so that the one which serves is not held up by it. */
import { parentPort } from "node:worker_threads";
import { bytesOfTensors } from "@muster/shared/inference";
import { parseJson } from "../http/json-body.js";
import { toWire } from "../wire-error.js";
import { isInferRequest, readInferRequest } from "./infer-request.js";
import { inferResponse } from "./infer-response.js";
import type { FromJson, ToJson } from "./json-protocol.js";

const port = parentPort;
if (port === null) throw new Error("json-worker.js is started as a worker thread by the runner");
/** Behind JSON alone there are no binary tensors. */
const noTail = { length: 0, take: () => new Uint8Array(0) };
const say = (message: FromJson, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);

port.on("message", (job: ToJson) => {
  try {
    if (job.kind === "read") read(job);
    else write(job);
  } catch (error) {
    say({ kind: "failed", error: toWire(error) });
  }
});

function read({ bytes, tensors, orPlain }: Extract<ToJson, { kind: "read" }>): void {
  const json = parseJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  if (orPlain && !isInferRequest(json)) say({ kind: "read", request: "plain" });
  else {
    const request = readInferRequest(json, noTail, { tensors });
    say({ kind: "read", request }, bytesOfTensors(request.inputs));
  }
}

function write({ of, request, tensors }: Extract<ToJson, { kind: "write" }>): void {
  const { json, binary } = inferResponse(of, request, tensors);
  const text = new TextEncoder().encode(json);
  const buffers = new Set([text.buffer, ...binary.map(({ buffer }) => buffer as ArrayBuffer)]);
  say({ kind: "written", json: text, binary }, [...buffers]);
}
