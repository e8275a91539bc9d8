import { errorCodes } from "@muster/shared";
import { priorities } from "../../core/line.js";
import { datatypes } from "../oip/datatypes.js";
import { jsonReply } from "./reply.js";
import type { Route } from "./routes.js";

/** The document that describes this server. */
export function openApiRoute(version: string): Route {
  return { method: "GET", path: "/openapi.json", answer: () => jsonReply(200, openApiDocument(version)) };
}

/** An OpenAPI 3.1 document of all routes (https://spec.openapis.org/oas/v3.1.1.html). */
export function openApiDocument(version: string) {
  return {
    openapi: "3.1.0",
    info: {
      title: "Muster inference",
      version,
      description: "Open Inference Protocol v2 with binary tensor data, and inputs as they are.",
    },
    components: { securitySchemes: { token: { type: "http", scheme: "bearer" } }, schemas },
    security: [{}, { token: [] }],
    paths: {
      "/v2": { get: operation("serverMetadata", "The server", json(ref("ServerMetadata"))) },
      "/v2/health/live": { get: operation("serverLive", "Whether the server runs", json(object({ live: bool }))) },
      "/v2/health/ready": {
        get: operation("serverReady", "Whether a model is in service", json(object({ ready: bool }))),
      },
      ...modelPaths("/v2/models/{model}", ""),
      ...modelPaths("/v2/models/{model}/versions/{version}", "Version"),
      "/metrics": { get: operation("metrics", "Prometheus metrics", { "text/plain": { schema: text } }) },
      "/openapi.json": { get: operation("openApi", "This document", json({ type: "object" })) },
    },
  };
}

const text = { type: "string" };
const bool = { type: "boolean" };
const whole = { type: "integer" };
const sizes = { type: "array", items: whole };

function object(properties: Record<string, object>, required = Object.keys(properties)) {
  return { type: "object", properties, required };
}

function list(items: object) {
  return { type: "array", items };
}

function ref(name: string) {
  return { $ref: `#/components/schemas/${name}` };
}

function json(schema: object) {
  return { "application/json": { schema } };
}

const datatype = { type: "string", enum: Object.values(datatypes) };
const binarySize = object({ binary_data_size: whole }, []);
const tensorMetadata = list(object({ name: text, datatype, shape: { ...sizes, description: "-1 for a free size" } }));
const data = { type: "array", description: "Numbers, flat or nested; absent with binary_data_size", items: {} };
const names = { model_name: text, model_version: text };

const schemas = {
  ServerMetadata: object({ name: text, version: text, extensions: list(text) }),
  ModelMetadata: object({
    ...{ name: text, versions: list(text), platform: text },
    ...{ inputs: tensorMetadata, outputs: tensorMetadata },
  }),
  InferRequest: object(
    {
      id: text,
      parameters: object(
        {
          binary_data_output: bool,
          priority: { type: ["string", "integer"], description: "A word, or 1 high, 2 normal, 3 low" },
          timeout: { type: "integer", description: "Microseconds" },
        },
        [],
      ),
      inputs: list(
        object({ name: text, shape: sizes, datatype, data, parameters: binarySize }, ["name", "shape", "datatype"]),
      ),
      outputs: list(object({ name: text, parameters: object({ binary_data: bool }, []) }, ["name"])),
    },
    ["inputs"],
  ),
  InferResponse: object(
    {
      ...names,
      id: text,
      outputs: list(
        object({ name: text, shape: sizes, datatype, data, parameters: binarySize }, ["name", "shape", "datatype"]),
      ),
    },
    [...Object.keys(names), "outputs"],
  ),
  Answer: {
    ...object({ ...names, latencyMs: { type: "number" } }, Object.keys(names)),
    description: "Besides these, what the model's task answers: `label`, `confidence` and `classes` of a classifier",
  },
  Answers: object({ ...names, answers: list({ type: "object" }) }),
  Error: object(
    {
      error: text,
      code: { type: "string", enum: Object.keys(errorCodes) },
      problems: list(object({ field: text, message: text })),
    },
    ["error", "code"],
  ),
};

function modelPaths(path: string, suffix: "" | "Version") {
  const parameters = [
    { name: "model", in: "path", required: true, schema: text },
    ...(suffix === "" ? [] : [{ name: "version", in: "path", required: true, schema: text }]),
  ];
  return {
    [path]: { parameters, get: operation(`model${suffix}Metadata`, "The model's tensors", json(ref("ModelMetadata"))) },
    [`${path}/ready`]: {
      parameters,
      get: operation(`model${suffix}Ready`, "Whether it is in service", json(object({ name: text, ready: bool }))),
    },
    [`${path}/infer`]: { parameters, post: { ...inferOperation, operationId: `model${suffix}Infer` } },
  };
}

function operation(operationId: string, summary: string, content: object) {
  return { operationId, summary, responses: { 200: { description: "The answer", content }, default: failure } };
}

const failure = { description: "What is wrong and what to do about it", content: json(ref("Error")) };
const binary = { schema: { type: "string", format: "binary" } };

const inferOperation = {
  summary: "Ask the model",
  parameters: [
    { name: "muster-priority", in: "header", schema: { type: "string", enum: priorities } },
    { name: "muster-timeout-ms", in: "header", schema: { type: "number" } },
    {
      name: "muster-stream",
      in: "header",
      description: "The body is the next piece of this stream of sound, audio/pcm; an empty one ends it",
      schema: text,
    },
    {
      name: "inference-header-content-length",
      in: "header",
      description: "Bytes of the JSON before binary tensor data",
      schema: whole,
    },
  ],
  requestBody: {
    required: true,
    content: {
      ...json(ref("InferRequest")),
      "application/octet-stream": binary,
      ...{ "image/jpeg": binary, "image/png": binary, "image/webp": binary, "audio/pcm": binary },
      "multipart/form-data": { schema: { type: "object", additionalProperties: { type: "string", format: "binary" } } },
    },
  },
  responses: {
    200: {
      description: "Tensors, the answer to one input, or the answers to several",
      content: {
        ...json({ anyOf: [ref("InferResponse"), ref("Answers"), ref("Answer")] }),
        "application/octet-stream": binary,
        "image/png": { schema: { ...binary.schema, description: "The mask of a segmentation, to who accepts it" } },
      },
    },
    429: { ...failure, headers: { "retry-after": { description: "Seconds", schema: whole } } },
    504: { ...failure, description: "No answer within the time of the request" },
    default: failure,
  },
};
