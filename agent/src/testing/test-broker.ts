import { createServer, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { Aedes, type AedesPublishPacket, type Client } from "aedes";
import { freePort } from "./free-port.js";

/** A real broker in this process. */
export class TestBroker {
  /** Messages that a client acknowledged, by their payload. */
  readonly acknowledged: string[] = [];
  /** What was published by clients: topic and payload. */
  readonly published: { readonly topic: string; readonly payload: string }[] = [];
  /** What a client has to log in with. */
  login: { readonly user: string; readonly password: string } | undefined;
  readonly #t: TestContext;
  readonly #sockets = new Set<Socket>();
  #aedes: Aedes | undefined;
  #server: Server | undefined;
  #port = 0;

  constructor(t: TestContext) {
    this.#t = t;
  }

  /** Clients that are connected now. */
  get clients(): number {
    return this.#sockets.size;
  }

  /** Its address, before it is there. */
  async reserve(): Promise<string> {
    this.#port = await freePort();
    return `mqtt://127.0.0.1:${this.#port}`;
  }

  async listen(): Promise<void> {
    if (this.#aedes === undefined) {
      const aedes = await Aedes.createBroker();
      this.#t.after(() => this.close());
      aedes.authenticate = (_client, user, password, done) => {
        const { login } = this;
        done(null, login === undefined || (login.user === user && login.password === password?.toString()));
      };
      // Its deduplication drops messages that are overtaken, and with them the connection.
      aedes.on("client", (client: Client) => {
        Object.assign(client, { duplicates: new Proxy({}, { get: () => 0, set: () => true }) });
      });
      aedes.on("ack", (packet) => {
        const { payload } = (packet ?? {}) as { payload?: Buffer };
        if (payload !== undefined) this.acknowledged.push(payload.toString("latin1"));
      });
      aedes.on("publish", ({ topic, payload }: AedesPublishPacket, client) => {
        if (client !== null) this.published.push({ topic, payload: payload.toString("utf8") });
      });
      this.#aedes = aedes;
    }
    const { handle } = this.#aedes;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      handle(socket);
    });
    await new Promise<void>((resolve) => this.#server?.listen(this.#port, "127.0.0.1", resolve));
  }

  /** Cuts all connections and takes no new ones; what it keeps for its clients stays. */
  async leave(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async publish(
    topic: string,
    payload: string | Buffer,
    { qos = 1, retain = false }: { qos?: 0 | 1; retain?: boolean } = {},
  ) {
    await new Promise<void>((resolve, reject) =>
      this.#aedes?.publish(
        { cmd: "publish", topic, payload: Buffer.from(payload), qos, retain, dup: false },
        (error) => (error ? reject(error) : resolve()),
      ),
    );
  }

  async close(): Promise<void> {
    await this.leave();
    await new Promise<void>((resolve) => this.#aedes?.close(() => resolve()));
  }
}
