import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { TestContext } from "node:test";
import { freePort } from "./free-port.js";

/** A camera's web server: one picture with an ETag and a time. */
export class SnapshotServer {
  readonly requests: IncomingMessage["headers"][] = [];
  /** How often it said that nothing changed. */
  unchanged = 0;
  /** Answers in place of the picture; returns whether it did. */
  instead: (request: IncomingMessage, response: ServerResponse) => boolean = () => false;
  readonly #server: Server;
  #port = 0;
  #picture: Buffer | undefined;

  constructor(t: TestContext) {
    this.#server = createServer((request, response) => this.#answer(request, response));
    t.after(() => {
      this.#server.closeAllConnections();
      this.#server.close();
    });
  }

  /** Its address, before it is there. */
  async reserve(): Promise<string> {
    this.#port = await freePort();
    return `http://127.0.0.1:${this.#port}/snapshot.jpg?key=secret`;
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(this.#port, "127.0.0.1", resolve));
  }

  show(picture: string | Buffer): void {
    this.#picture = Buffer.from(picture);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.requests.push(request.headers);
    if (this.instead(request, response)) return;
    // Without a picture yet, as a camera that has nothing new.
    const etag =
      this.#picture === undefined ? undefined : `"${createHash("sha1").update(this.#picture).digest("hex")}"`;
    if (etag === undefined || request.headers["if-none-match"] === etag) {
      this.unchanged += 1;
      response.writeHead(304).end();
      return;
    }
    response.writeHead(200, { "content-type": "image/jpeg", etag }).end(this.#picture);
  }
}
