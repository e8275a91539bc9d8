import { asMusterError, type ErrorCode, type Log, MusterError, messageOf } from "@muster/shared";
import { defaultImageLimits, imageTypes } from "@muster/shared/inference";
import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import type { Inference } from "./inference.js";
import type { LoadedSlot } from "./loaded-slot.js";
import { modelMetadata, readTensorRequest, tensorResponse } from "./oip.js";
import type { Slots } from "./slots.js";

export interface HttpDeps {
  readonly slots: Slots;
  readonly inference: Inference;
  readonly log: Log;
  /** The version of this program. */
  readonly version: string;
}

/** A running server. */
export interface HttpServer {
  readonly url: string;
  /** Takes no more requests and answers those that it has. */
  close(): Promise<void>;
}

interface ModelPath {
  readonly Params: { readonly model: string; readonly version?: string };
}

/** A runner that was just killed may hold its port for a moment longer. */
const portPatience = { tries: 20, pauseMs: 100 };
const retryAfterS = 1;

const statuses: Partial<Record<ErrorCode, number>> = {
  "image/invalid": 400,
  "input/invalid": 400,
  "tensor/invalid": 400,
  "request/invalid": 400,
  "request/not-found": 404,
  "model/unknown": 404,
  "image/too-large": 413,
  "input/too-large": 413,
  "runner/overloaded": 429,
  "runner/not-serving": 503,
};

/** Serves the Open Inference Protocol. Port 0 takes any free one. Throws `port/in-use`, `config/invalid`. */
export async function serveHttp(deps: HttpDeps, host: string, port: number): Promise<HttpServer> {
  for (let attempt = 1; ; attempt += 1) {
    const app = newApp(deps);
    try {
      await app.listen({ host, port });
      return { url: urlOf(app, host), close: () => app.close() };
    } catch (cause) {
      await app.close();
      if ((cause as NodeJS.ErrnoException).code !== "EADDRINUSE") {
        throw new MusterError("config/invalid", `cannot listen on ${host}:${port}: ${messageOf(cause)}`, { cause });
      }
      if (attempt === portPatience.tries) {
        const message = `port ${port} for inference is in use by another program; stop it or choose another port`;
        throw new MusterError("port/in-use", message, { cause });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, portPatience.pauseMs));
  }
}

function newApp(deps: HttpDeps): FastifyInstance {
  const app = fastify({
    bodyLimit: defaultImageLimits.maxBytes,
    requestTimeout: 60_000,
    keepAliveTimeout: 60_000,
    forceCloseConnections: "idle",
  });
  app.removeContentTypeParser("text/plain");
  app.addContentTypeParser([...imageTypes], { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error, request, reply) => {
    const { status, known } = understood(error);
    if (status >= 500 && status !== 503) deps.log.error("runner.request.failed", { url: request.url, error });
    // Fastify would close the connection on a body that is still arriving, and the client would see a reset instead
    // of this answer. Kept open, the rest is read and thrown away.
    if (status === 413 || status === 415) void reply.removeHeader("connection");
    sendError(reply, status, known);
  });
  app.setNotFoundHandler((request, reply) => {
    sendError(reply, 404, new MusterError("request/not-found", `no route ${request.method} ${request.url}`));
  });
  addServerRoutes(app, deps);
  addModelRoutes(app, deps);
  return app;
}

function addServerRoutes(app: FastifyInstance, { slots, version }: HttpDeps): void {
  app.get("/v2", () => ({ name: "muster", version, extensions: [] }));
  app.get("/v2/health/live", () => ({ live: true }));
  app.get("/v2/health/ready", (_request, reply) => {
    const ready = slots.names().length > 0;
    return reply.status(ready ? 200 : 503).send({ ready });
  });
}

function addModelRoutes(app: FastifyInstance, deps: HttpDeps): void {
  const { slots, inference } = deps;
  for (const path of ["/v2/models/:model", "/v2/models/:model/versions/:version"]) {
    app.get<ModelPath>(path, ({ params: { model, version } }) => {
      const { slot } = version === undefined ? slots.serving(model) : slots.version(model, version);
      const versions = slots.versions(model).map((loaded) => loaded.slot.version);
      return modelMetadata(model, versions, slot.manifest);
    });
    app.get<ModelPath>(`${path}/ready`, ({ params: { model, version } }) => {
      const loaded = version === undefined ? slots.serving(model) : slots.version(model, version);
      if (!slots.serves(loaded)) {
        throw new MusterError("runner/not-serving", `version ${version} of ${model} is loaded, but not in service`);
      }
      return { name: model, ready: true };
    });
    app.post<ModelPath>(`${path}/infer`, ({ params: { model, version }, headers, body }) => {
      const to = inService(slots, model, version);
      if (!Buffer.isBuffer(body)) return answerTensors(inference, to, body);
      return answerInput(inference, to, body, headers["content-type"] ?? "");
    });
  }
}

/** Only what is in service answers: another version would not be what the hub decided on. */
function inService(slots: Slots, model: string, version: string | undefined): LoadedSlot {
  const serving = slots.serving(model);
  const { version: actual } = serving.slot;
  if (version === undefined || version === actual) return serving;
  throw new MusterError("model/unknown", `version ${version} of ${model} is not in service; version ${actual} is`);
}

async function answerInput(inference: Inference, to: LoadedSlot, bytes: Buffer, contentType: string) {
  const { model, version, answers, list, latencyMs } = await inference.input(to, bytes, contentType);
  const names = { model_name: model, model_version: version };
  return list ? { ...names, answers, latencyMs } : { ...names, ...answers[0], latencyMs };
}

async function answerTensors(inference: Inference, to: LoadedSlot, body: unknown) {
  const { id, inputs, outputs } = readTensorRequest(body, to.slot.manifest);
  return tensorResponse(to.slot, id, await inference.tensors(to, inputs, outputs));
}

/** What is thrown here is ours, or fastify's own words about a body that it could not take. */
function understood(error: unknown): { status: number; known: MusterError } {
  const { statusCode } = error as { statusCode?: number };
  if (error instanceof MusterError || statusCode === undefined || statusCode >= 500) {
    const known = asMusterError(error);
    return { status: statuses[known.code] ?? 500, known };
  }
  if (statusCode === 413) {
    const message = `the body is larger than the ${defaultImageLimits.maxBytes} bytes that are taken`;
    return { status: 413, known: new MusterError("image/too-large", message, { cause: error }) };
  }
  const types = [...imageTypes, "application/json"].join(", ");
  const message = statusCode === 415 ? `the content type must be one of ${types}` : messageOf(error);
  return { status: statusCode, known: new MusterError("request/invalid", message, { cause: error }) };
}

function sendError(reply: FastifyReply, status: number, { code, message, problems }: MusterError): void {
  if (status === 429) void reply.header("retry-after", retryAfterS);
  void reply.status(status).send({ error: message, code, ...(problems.length === 0 ? {} : { problems }) });
}

function urlOf(app: FastifyInstance, host: string): string {
  const address = app.server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
