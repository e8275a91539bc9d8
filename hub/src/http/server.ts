import swagger from "@fastify/swagger";
import { type ApiError, asMusterError, type ErrorCode, type Log, MusterError } from "@muster/shared";
import fastify, { type FastifyInstance } from "fastify";
import {
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from "fastify-type-provider-zod";
import { TooManyAttemptsError } from "../core/attempt-limit.js";
import { type Actor, requireAction } from "../core/permission.js";
import { listenError } from "../listen.js";
import type { Gate } from "./gate.js";

/** A server whose routes are typed and checked by zod schemas. */
export type App = ReturnType<typeof typed>;

export interface ServerOptions {
  readonly title: string;
  readonly version: string;
  /** With it the server speaks TLS. */
  readonly tls?: { readonly certificate: string; readonly privateKey: string } | undefined;
  /** How long a request may take to arrive; 0 for no limit, which large uploads need. */
  readonly requestTimeoutMs?: number;
  /** With it every route that is not open needs a token that may do what the route does. */
  readonly gate?: Gate | undefined;
  readonly log: Log;
}

/** Connections at the same time; more are closed at once. */
const maxConnections = 2000;
/** The largest JSON body that is read. */
const bodyLimit = 4 * 1024 * 1024;

/** A server without routes: checked bodies, errors in one shape, an OpenAPI document at /openapi.json. */
export async function newServer(options: ServerOptions): Promise<App> {
  const { tls, title, version, gate } = options;
  const common = {
    bodyLimit,
    requestTimeout: options.requestTimeoutMs ?? 0,
    keepAliveTimeout: 60_000,
    forceCloseConnections: true,
    return503OnClosing: false,
  } as const;
  const https = tls === undefined ? null : { key: tls.privateKey, cert: tls.certificate };
  const app = typed(https === null ? fastify(common) : (fastify({ ...common, https }) as unknown as FastifyInstance));
  app.server.maxConnections = maxConnections;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  await app.register(swagger, {
    openapi: {
      info: { title, version },
      components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
      ...(gate === undefined ? {} : { security: [{ token: [] }] }),
    },
    transform: jsonSchemaTransform,
  });
  // The stream itself is the body: uploads are never collected in memory.
  app.addContentTypeParser("application/octet-stream", (_request, payload, done) => done(null, payload));
  app.setErrorHandler((error, request, reply) => {
    const known = fromFastify(error);
    const status = statusOf(known.code);
    if (status >= 500) options.log.error("http.request.failed", { method: request.method, url: request.url, error });
    if (known instanceof TooManyAttemptsError) void reply.header("retry-after", Math.ceil(known.waitMs / 1000));
    void reply.status(status).send(errorBody(known));
  });
  app.setNotFoundHandler((request, reply) => {
    const error = new MusterError("request/not-found", `no route ${request.method} ${request.url}; see /openapi.json`);
    void reply.status(404).send(errorBody(error));
  });
  app.addHook("onSend", async (_request, reply) => {
    for (const [name, value] of securityHeaders(tls !== undefined)) reply.header(name, value);
  });
  if (gate !== undefined) guard(app, gate, options.log);
  return app;
}

/** Shows this certificate from the next connection on; nothing on a server without TLS. */
export function useCertificate(app: App, tls: { readonly certificate: string; readonly privateKey: string }): void {
  const { server } = app as { server: { setSecureContext?: (context: { key: string; cert: string }) => void } };
  server.setSecureContext?.({ key: tls.privateKey, cert: tls.certificate });
}

/** Starts listening and returns the base URL. Throws `port/in-use`. */
export async function listenHttp(app: App, host: string, port: number, what: string): Promise<string> {
  try {
    const address = await app.listen({ host, port });
    return address;
  } catch (error) {
    throw listenError(error, port, what);
  }
}

function typed(app: FastifyInstance) {
  return app.withTypeProvider<ZodTypeProvider>();
}

function errorBody({ code, message, problems }: MusterError): ApiError {
  return { error: { code, message, problems: [...problems] } };
}

/** Fastify's own refusals as ours, with the field named. */
function fromFastify(error: unknown): MusterError {
  const { validation, validationContext, statusCode, message } = error as {
    validation?: { instancePath: string; message?: string; params?: { issue?: { path?: PropertyKey[] } } }[];
    validationContext?: string;
    statusCode?: number;
    message: string;
  };
  if (validation !== undefined) {
    const problems = validation.map((issue) => ({
      field: [validationContext ?? "", ...issue.instancePath.split("/")].filter((part) => part !== "").join("."),
      message: issue.message ?? "does not fit",
    }));
    const text = problems.map((problem) => `  ${problem.field}: ${problem.message}`).join("\n");
    return new MusterError("request/invalid", `the request does not fit:\n${text}`, { problems });
  }
  if (!(error instanceof MusterError) && statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new MusterError("request/invalid", message, { cause: error });
  }
  return asMusterError(error);
}

function statusOf(code: ErrorCode): number {
  if (code === "request/unauthorized") return 401;
  if (code === "invite/refused" || code === "access/denied") return 403;
  if (code === "access/too-many-attempts") return 429;
  if (code.endsWith("/unknown") || code === "request/not-found" || code === "artifact/missing") return 404;
  if (
    code.endsWith("/exists") ||
    [
      "rollout/conflict",
      "model/in-use",
      "user/last-admin",
      "trust/refused",
      "signature/key-needed",
      "engine/busy",
    ].includes(code)
  )
    return 409;
  if (code === "artifact/too-large") return 413;
  if (code === "store/full") return 507;
  if (code.startsWith("bundle/") || code === "artifact/digest-mismatch") return 422;
  if (code.endsWith("/invalid")) return 400;
  return 500;
}

/**
 * Every route says what it does, or that it is open; who asks may do that, or it is not run. It is the route that decides,
 * not the text of the URL: `/%761/users` is matched to the same one as `/v1/users`.
 */
function guard(app: App, gate: Gate, log: Log): void {
  app.addHook("onRoute", ({ method, url, config }) => {
    if (config?.action !== undefined || config?.open === true) return;
    throw new MusterError("internal", `route ${String(method)} ${url} does not say what it does: config.action`);
  });
  app.decorateRequest("actor");
  app.addHook("onRequest", async (request) => {
    const { action, open } = request.routeOptions.config;
    if (request.is404 || open === true) return;
    if (action === undefined) throw new MusterError("internal", "this route does not say what it does");
    request.actor = await gate.enter(request.headers.authorization, request.ip);
    requireAction(request.actor, action);
  });
  app.addHook("onError", async (request, _reply, error) => {
    if (!(error instanceof MusterError) || error.code !== "access/denied") return;
    const actor = request.actor as Actor | undefined;
    if (actor === undefined) return;
    const { action = "unknown" } = request.routeOptions.config;
    const subject = `${request.method} ${request.url}`;
    await gate
      .denied(actor, action, subject, error.message)
      .catch((failure) => log.error("audit.refusal.unrecorded", { subject, error: failure }));
  });
}

/** Answers are data for programs: nothing in them is to be guessed at, framed, run or kept. */
function securityHeaders(tls: boolean): [string, string][] {
  return [
    ["x-content-type-options", "nosniff"],
    ["x-frame-options", "DENY"],
    ["content-security-policy", "default-src 'none'; frame-ancestors 'none'"],
    ["referrer-policy", "no-referrer"],
    ["cache-control", "no-store"],
    ...(tls ? [["strict-transport-security", "max-age=31536000"] as [string, string]] : []),
  ];
}
