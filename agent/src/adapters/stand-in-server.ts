import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { StandIn } from "../ports.js";
import { listenOnPort, listenOnSocket, newListener } from "../runner/http/listen.js";
import { TlsFiles } from "../runner/http/tls-files.js";
import type { ServingSettings } from "../runner/serving-settings.js";

const patienceMs = 5000;

/**
 * Servers that have one answer, where the runner's were. Requests are read to their end first, so that a client sees the
 * answer rather than a reset; connections are closed after it, so that the next request finds the runner.
 */
export class StandInServer implements StandIn {
  #servers: readonly Server[] = [];

  async open(settings: ServingSettings, reason: string): Promise<void> {
    await this.close();
    const body = JSON.stringify({ error: reason, code: "runner/not-serving" });
    const { host, port, socket, tls } = settings;
    const onPort = refusing(newListener(settings, tls && (await TlsFiles.read(tls))), body);
    this.#servers = [onPort];
    await listenOnPort(onPort, host, port);
    if (socket === undefined) return;
    const onSocket = refusing(newListener(settings), body);
    this.#servers = [onPort, onSocket];
    await listenOnSocket(onSocket, socket);
  }

  async close(): Promise<void> {
    const servers = this.#servers;
    this.#servers = [];
    for (const server of servers) {
      if (!server.listening) continue;
      server.close();
      server.closeIdleConnections();
      // Who is still sending gets its answer while the runner listens already.
      setTimeout(() => server.closeAllConnections(), patienceMs).unref();
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function refusing(server: Server, body: string): Server {
  return server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    request.resume().once("end", () => {
      const headers = { "content-type": "application/json", "retry-after": "1", connection: "close" };
      response.writeHead(503, headers).end(body);
    });
  });
}
