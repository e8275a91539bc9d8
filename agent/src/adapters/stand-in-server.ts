import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { StandIn } from "../ports.js";

/** Connections at the same time; a stand-in must not cost more than who it stands in for. */
const maxConnections = 256;
const bodyTimeoutMs = 5000;
const retryAfterS = "1";

/**
 * A server that has one answer. Requests are read to their end first, so that a client sees the answer rather than a
 * reset; connections are closed after it, so that the next request finds the runner.
 */
export class StandInServer implements StandIn {
  #server: Server | undefined;

  async open({ host, port }: { host: string; port: number }, reason: string): Promise<void> {
    await this.close();
    const body = JSON.stringify({ error: reason, code: "runner/not-serving" });
    const server = createServer({ requestTimeout: bodyTimeoutMs }, (request, response) => {
      request.resume().once("end", () => {
        const headers = { "content-type": "application/json", "retry-after": retryAfterS, connection: "close" };
        response.writeHead(503, headers).end(body);
      });
    });
    server.maxConnections = maxConnections;
    this.#server = server;
    server.listen(port, host);
    await once(server, "listening");
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.close();
    server.closeIdleConnections();
    // Who is still sending gets its answer while the runner listens already.
    setTimeout(() => server.closeAllConnections(), bodyTimeoutMs).unref();
    await new Promise((resolve) => setImmediate(resolve));
  }
}
