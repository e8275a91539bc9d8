import { once } from "node:events";
import { connect, type Socket } from "node:net";

const headEnd = Buffer.from("\r\n\r\n");

/** The bytes of a POST request, made once and sent often. */
export function postBytes(
  url: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
): Buffer {
  const all = { host: new URL(url).host, "content-length": String(body.length), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n`), body]);
}

/** One kept connection that asks and reads, and nothing more: what it measures is the server. */
export class RawClient {
  readonly #socket: Socket;
  #parts: Buffer[] = [];
  #bytes = 0;
  #wanted = 0;
  #settle: ((answer: Buffer) => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (part: Buffer) => this.#came(part));
  }

  static async open(url: string): Promise<RawClient> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, "connect");
    return new RawClient(socket);
  }

  /** Sends a request and resolves with the answer, head and body. */
  ask(request: Buffer): Promise<Buffer> {
    return new Promise((resolve) => {
      this.#settle = resolve;
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #came(part: Buffer): void {
    this.#parts.push(part);
    this.#bytes += part.length;
    if (this.#wanted === 0) {
      const head = this.#parts.length === 1 ? part : Buffer.concat(this.#parts);
      const end = head.indexOf(headEnd);
      if (end === -1) return;
      const length = /\r\ncontent-length: (\d+)/i.exec(head.toString("latin1", 0, end))?.[1];
      this.#wanted = end + headEnd.length + Number(length);
    }
    if (this.#bytes < this.#wanted) return;
    const answer = this.#parts.length === 1 ? part : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    this.#wanted = 0;
    this.#settle?.(answer);
  }
}
