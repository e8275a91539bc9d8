import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Server as SecureServer } from "node:https";
import { Server as NetServer, type Socket } from "node:net";
import { asMusterError, type Clock, type Log, MusterError } from "@muster/shared";
import type { Buffers } from "../buffers.js";
import type { ServingSettings } from "../serving-settings.js";
import { type Renewable, watchAccess } from "./access-watch.js";
import { BodyBudget } from "./body.js";
import { Exchange, type ExchangeLimits } from "./exchange.js";
import { listenOnPort, listenOnSocket, newListener } from "./listen.js";
import { errorReply, type Reply } from "./reply.js";
import { type Route, RouteTable } from "./routes.js";
import { TlsFiles } from "./tls-files.js";
import { Tokens } from "./tokens.js";
import type { Traffic } from "./traffic.js";

export interface HttpDeps {
  readonly routes: readonly Route[];
  /** Counts what happens. */
  readonly traffic: Traffic;
  /** Where the memory of tensors comes from. */
  readonly buffers: Buffers;
  readonly clock: Clock;
  readonly log: Log;
  /** A client that takes no byte of its answer for so long is cut off. */
  readonly writeLimitMs?: number;
}

/** A running server. */
export interface HttpServer {
  readonly url: string;
  /** Takes no more requests and answers those that it has. */
  close(): Promise<void>;
}

const defaultWriteLimitMs = 30_000;

/** Serves routes on the port, and on the Unix socket when there is one. Throws `port/in-use`, `config/invalid`. */
export async function serveHttp(deps: HttpDeps, settings: ServingSettings): Promise<HttpServer> {
  const { host, port, socket } = settings;
  const tokens = await Tokens.read(settings.tokenFile);
  const tls = settings.tls && (await TlsFiles.read(settings.tls));
  const desk = new Desk(deps, settings);
  const server = newListener(settings, tls);
  const servers = [server];
  let unwatch = () => {};
  const close = () => {
    unwatch();
    return desk.close(servers);
  };
  try {
    desk.serve(server, tokens);
    const actualPort = await listenOnPort(server, host, port);
    if (socket !== undefined) {
      const local = newListener(settings);
      servers.push(local);
      // Who may open the file needs no token.
      desk.serve(local, await Tokens.read(undefined));
      await listenOnSocket(local, socket);
    }
    unwatch = watchAccess(renewable(tokens, server, tls), deps);
    const scheme = tls === undefined ? "http" : "https";
    const url = `${scheme}://${host.includes(":") ? `[${host}]` : host}:${actualPort}`;
    return { url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The files of the settings that may be renewed while the server runs. */
function renewable(tokens: Tokens, server: Server, tls: TlsFiles | undefined): Renewable[] {
  const token = { setting: "inferenceTokenFile", refresh: () => tokens.refresh() };
  if (tls === undefined) return [token];
  const refresh = async () => {
    const changed = await tls.refresh();
    if (changed) (server as SecureServer).setSecureContext(tls.shown);
    return changed;
  };
  return [token, { setting: "inferenceTls", refresh }];
}

/** Takes requests and sees to it that each gets an answer. */
class Desk {
  readonly #deps: HttpDeps;
  readonly #routes: RouteTable;
  readonly #limits: ExchangeLimits;
  /** Answers that are made and not with their clients yet. */
  readonly #leaving = new Set<Promise<unknown>>();
  #closing = false;

  constructor(deps: HttpDeps, settings: ServingSettings) {
    this.#deps = deps;
    this.#routes = new RouteTable(deps.routes);
    const { timeoutMs } = settings;
    this.#limits = { budget: new BodyBudget(settings), buffers: deps.buffers, timeoutMs };
  }

  serve(server: Server, tokens: Tokens): void {
    server.on("request", (request, response) => void this.#answer(request, response, tokens));
    server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => this.#refuse(error, socket));
    server.on("drop", () => this.#deps.traffic.dropped());
    server.on("checkContinue", (request, response) => void this.#answer(request, response, tokens));
  }

  async close(servers: readonly Server[]): Promise<void> {
    this.#closing = true;
    const open = servers.filter(({ listening }) => listening);
    // Only listening ends: an HTTP server that is closed cuts what is idle, and an answer that is made but not read yet counts
    // as that. Each connection gets one more answer at most, for that one closes it.
    const closed = open.map((server) => new Promise((resolve) => NetServer.prototype.close.call(server, resolve)));
    while (this.#leaving.size > 0) await Promise.all(this.#leaving);
    for (const server of open) server.closeIdleConnections();
    await Promise.all(closed);
  }

  async #answer(request: IncomingMessage, response: ServerResponse, tokens: Tokens): Promise<void> {
    const { traffic, log } = this.#deps;
    // Asked for before its forerunner was answered, whose limit does not bound the work on this one.
    if (response.socket === null) response.once("socket", (socket) => socket.setTimeout(0));
    let reply: Reply;
    try {
      reply = await this.#replyTo(request, response, tokens);
    } catch (error) {
      reply = errorReply(error);
      if (reply.status === 500) log.error("runner.request.failed", { url: request.url?.slice(0, 200), error });
      if (asMusterError(error).code === "runner/client-gone") return traffic.gone();
    }
    traffic.answered(reply.status);
    this.#send(request, response, reply);
  }

  #replyTo(request: IncomingMessage, response: ServerResponse, tokens: Tokens): Reply | Promise<Reply> {
    const { method = "", url = "" } = request;
    const { route, params } = this.#routes.find(method, url);
    if (route.open !== true) tokens.check(request.headers.authorization);
    return route.answer(new Exchange([request, response], params, this.#limits));
  }

  #send(request: IncomingMessage, response: ServerResponse, { status, headers, body }: Reply): void {
    // An answer that waits behind another does not notice that its connection was cut.
    if (response.destroyed || request.socket.destroyed) return;
    const length = body.reduce((sum, part) => sum + Buffer.byteLength(part), 0);
    response.writeHead(status, {
      ...headers,
      "content-length": length,
      ...(this.#closing ? { connection: "close" } : {}),
    });
    if (request.method === "HEAD") response.end();
    else {
      for (const part of body.slice(0, -1)) response.write(part);
      response.end(body.at(-1));
    }
    // Most answers are with the kernel by now; one that was asked for before its forerunner was read waits in itself.
    const waiting = response.writableLength > 0 || request.socket.writableLength > 0;
    const { writeLimitMs = defaultWriteLimitMs } = this.#deps;
    if (waiting) {
      response.setTimeout(writeLimitMs, () => response.destroy());
      const left: Promise<unknown> = gone(request, response).finally(() => this.#leaving.delete(left));
      this.#leaving.add(left);
    }
    // What still comes of a body that was refused is read and thrown away: a client that is busy sending would see a reset
    // instead of this answer. The time for a whole request bounds it.
    request.resume();
  }

  /** What is no HTTP, or comes too slowly, gets a last word. */
  #refuse(error: NodeJS.ErrnoException, socket: Socket): void {
    this.#deps.traffic.refused();
    if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
    const late = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
    const words = late ? "the request did not arrive in time" : `the request is no valid HTTP: ${error.message}`;
    const known = new MusterError(late ? "request/late" : "request/invalid", words);
    const { status, body } = errorReply(known);
    const text = String(body[0]);
    const head = `HTTP/1.1 ${status} ${late ? "Request Timeout" : "Bad Request"}\r\nconnection: close`;
    socket.end(
      `${head}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    );
    socket.destroySoon();
  }
}

/** Resolves when the answer is with its client, or will never be. */
function gone({ socket }: IncomingMessage, response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      socket.removeListener("close", end);
      resolve();
    };
    response.once("close", end);
    // Of answers that wait behind another on their connection, Node tells no end when that is cut.
    socket.once("close", end);
  });
}
