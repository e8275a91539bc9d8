import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { TestContext } from "node:test";
import type { SinkRecord } from "../runner/sink.js";
import { freePort } from "./free-port.js";

/** What was posted, and how it was answered. */
export interface Delivered {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly status: number;
}

/** Somebody who wants answers, with an address of their own. */
export class WebhookServer {
  readonly requests: Delivered[] = [];
  /** The status of the next answers, in turn; 204 when there is none. */
  readonly statuses: (number | "hang-up")[] = [];
  /** The status for a body, before {@link statuses} is asked. */
  judge: (records: readonly SinkRecord[]) => number | undefined = () => undefined;
  retryAfter: string | undefined;
  #server: Server | undefined;
  #port = 0;

  constructor(t: TestContext) {
    t.after(() => this.leave());
  }

  /** Its address, before it is there. */
  async reserve(): Promise<string> {
    this.#port = await freePort();
    return `http://127.0.0.1:${this.#port}/hook?key=secret`;
  }

  /** The answers it took, in the order of their arrival. */
  get taken(): SinkRecord[] {
    return this.requests.flatMap(({ status, body }) => (status < 300 ? recordsOf(body) : []));
  }

  async listen(): Promise<void> {
    const server = createServer(async (request, response) => {
      let body = "";
      for await (const chunk of request.setEncoding("utf8")) body += chunk;
      const status = this.judge(recordsOf(body)) ?? this.statuses.shift() ?? 204;
      this.requests.push({ headers: request.headers, body, status: status === "hang-up" ? 999 : status });
      if (status === "hang-up") return void request.socket.destroy();
      response.writeHead(status, this.retryAfter === undefined ? {} : { "retry-after": this.retryAfter }).end();
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
  }

  /** As a receiver that is killed: every connection is cut. */
  async leave(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    server?.closeAllConnections();
    await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  }
}

function recordsOf(body: string): SinkRecord[] {
  return (JSON.parse(body) as { answers: SinkRecord[] }).answers;
}
