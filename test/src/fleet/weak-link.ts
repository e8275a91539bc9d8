import { connect, createServer, type Server, type Socket } from "node:net";

/** Bytes under way in one direction; a sender that is ahead of them has to wait. */
const maxHeldBytes = 1024 * 1024;

/**
 * A link between devices and their hub that can be cut, flap, stand still and be slow: a TCP proxy in this process,
 * which needs no rights. What it carries stays encrypted from end to end.
 */
export class WeakLink {
  readonly port: number;
  /** Milliseconds that everything takes longer, each way. */
  delayMs = 0;
  /** What each connection carries, as TCP does on a link that loses packets; undefined for what it can. */
  bytesPerSecondEach: number | undefined;
  /** Connections opened from now on are reset after so many bytes from the hub; undefined for never. */
  cutAfterBytes: number | undefined;
  /** Bytes given to devices since the start. */
  downBytes = 0;
  /** Connections that devices opened since the start. */
  connects = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #down = false;
  #still = false;
  readonly #waiting = new Set<() => void>();

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  /** Opens a link to a port of this machine. */
  static async open(hubPort: number): Promise<WeakLink> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("the link has no port");
    const link = new WeakLink(server, address.port);
    server.on("connection", (device) => link.#carry(device, hubPort));
    return link;
  }

  /** Resets every connection and every new one, until it is mended. */
  cut(): void {
    this.#down = true;
    this.reset();
  }

  /** Resets every connection; new ones are carried. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Resets the connection that was opened last, of those that are open. */
  resetLatest(): void {
    for (const socket of [...this.#sockets].slice(-2)) socket.resetAndDestroy();
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#sockets.size / 2;
  }

  mend(): void {
    this.#down = false;
  }

  /** Carries nothing more and tells nobody, as a link does whose radio is gone. */
  hold(): void {
    this.#still = true;
  }

  /** Carries on with what was held. */
  release(): void {
    this.#still = false;
    for (const goOn of this.#waiting) goOn();
    this.#waiting.clear();
  }

  async close(): Promise<void> {
    this.cut();
    this.release();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #carry(device: Socket, hubPort: number): void {
    this.connects += 1;
    if (this.#down) {
      device.resetAndDestroy();
      return;
    }
    const hub = connect(hubPort, "127.0.0.1");
    let leftBytes = this.cutAfterBytes ?? Number.POSITIVE_INFINITY;
    const end = () => {
      for (const socket of [device, hub]) socket.resetAndDestroy();
    };
    for (const socket of [device, hub]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.once("close", () => {
        this.#sockets.delete(socket);
        end();
      });
    }
    this.#forward(device, hub, () => true);
    this.#forward(hub, device, (bytes) => {
      leftBytes -= bytes;
      if (leftBytes < 0) end();
      else this.downBytes += bytes;
      return leftBytes >= 0;
    });
  }

  /** Gives on what comes, in order, each piece when its time has come. */
  #forward(from: Socket, to: Socket, count: (bytes: number) => boolean): void {
    let heldBytes = 0;
    let freeMs = 0;
    let last = Promise.resolve();
    from.on("data", (bytes: Buffer) => {
      heldBytes += bytes.length;
      if (heldBytes > maxHeldBytes) from.pause();
      const nowMs = performance.now();
      const tookMs = this.bytesPerSecondEach === undefined ? 0 : (1000 * bytes.length) / this.bytesPerSecondEach;
      freeMs = Math.max(freeMs, nowMs) + tookMs;
      const waitMs = freeMs - nowMs + this.delayMs;
      const due = waitMs === 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, waitMs));
      last = Promise.all([last, due]).then(async () => {
        while (this.#still) await new Promise<void>((resolve) => this.#waiting.add(resolve));
        if (count(bytes.length) && !to.destroyed && !to.write(bytes)) await drained(to);
        heldBytes -= bytes.length;
        if (heldBytes <= maxHeldBytes) from.resume();
      });
    });
    from.on("end", () => void last.then(() => to.end()));
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off("drain", done);
      socket.off("close", done);
      resolve();
    };
    socket.on("drain", done);
    socket.on("close", done);
  });
}
