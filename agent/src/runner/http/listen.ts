import { chmod, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect } from "node:net";
import { MusterError } from "@muster/shared";
import type { ServingSettings } from "../serving-settings.js";
import type { TlsFiles } from "./tls-files.js";

/** A runner that was just killed may hold its port for a moment longer. */
const portPatience = { tries: 20, pauseMs: 100 };
/** For the agent's user and group. */
const socketMode = 0o660;

/** How long a connection may be idle between two requests. */
const idleMs = 60_000;
/** How often it is looked for connections that take too long. */
const checkMs = 2000;

/** A server that is not listening yet, with the limits of its connections; with TLS when it has a certificate to show. */
export function newListener({ maxConnections, arrivalMs }: ServingSettings, tls?: TlsFiles): Server {
  // Who is slow would else hold a place against the others.
  const options = {
    headersTimeout: Math.ceil(arrivalMs / 3),
    requestTimeout: arrivalMs,
    keepAliveTimeout: idleMs,
    connectionsCheckingInterval: Math.min(checkMs, arrivalMs),
    maxHeaderSize: 16_384,
  };
  const server =
    tls === undefined ? createServer(options) : createTlsServer({ ...options, ...tls.shown, handshakeTimeout: 10_000 });
  server.maxConnections = maxConnections;
  server.maxHeadersCount = 100;
  return server;
}

/** Listens on a port and returns the one it got. Throws `port/in-use`, `config/invalid`. */
export async function listenOnPort(server: Server, host: string, port: number): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    const error = await listening(server, { host, port });
    if (error === undefined) break;
    if (error.code !== "EADDRINUSE") {
      throw new MusterError("config/invalid", `cannot listen on ${host}:${port}: ${error.message}`, { cause: error });
    }
    if (attempt === portPatience.tries) {
      const message = `port ${port} for inference is in use by another program; stop it or choose another port`;
      throw new MusterError("port/in-use", message, { cause: error });
    }
    await new Promise((resolve) => setTimeout(resolve, portPatience.pauseMs));
  }
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : port;
}

/** Listens on a Unix socket, in the place of one that nobody serves any more. Throws `port/in-use`, `config/invalid`. */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  if (await answers(path)) {
    throw new MusterError("port/in-use", `the socket ${path} is served by another program; stop it or choose another`);
  }
  await rm(path, { force: true });
  const error = await listening(server, { path });
  if (error !== undefined) {
    throw new MusterError("config/invalid", `cannot listen on inferenceSocket ${path}: ${error.message}`, {
      cause: error,
    });
  }
  await chmod(path, socketMode);
}

/** Why it cannot listen there, or undefined when it does. */
function listening(server: Server, at: object): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const failed = (error: NodeJS.ErrnoException) => {
      server.off("listening", listens);
      resolve(error);
    };
    const listens = () => {
      server.off("error", failed);
      resolve(undefined);
    };
    server.once("error", failed).once("listening", listens).listen(at);
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
