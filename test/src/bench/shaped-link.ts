import { connect, createServer, type Server, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { seededRandom } from "../fixtures/random.js";

/** What a link is like, the same in both directions. */
export interface LinkShape {
  readonly mbitPerSecond: number;
  readonly rttMs: number;
  /** Share of the segments towards devices that get lost; 0 for none. */
  readonly lossShare: number;
}

/** What Ethernet carries of TCP in one packet. */
const segmentBytes = 1448;
/** Bytes of one connection that wait in front of the link; the sender waits beyond them. */
const maxBacklogBytes = 128 * 1024;
const tickMs = 1;

/**
 * A link shared by all connections through it: a proxy with a rate, a delay and a queue of one round trip, at which
 * connections take turns. Where segments get lost it does what TCP does about it: a lost segment comes one round trip
 * later, all behind it on that connection wait for it, and the connection's congestion window (10 segments at first, then
 * CUBIC's in its TCP-friendly region, RFC 9438 §4.3) is cut to 0.7. Links without loss have no congestion window.
 */
export class ShapedLink {
  readonly #shape: LinkShape;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #down: Direction;
  readonly #up: Direction;

  constructor(shape: LinkShape) {
    this.#shape = shape;
    this.#down = new Direction(shape);
    this.#up = new Direction({ ...shape, lossShare: 0 });
  }

  /** A port behind which, at the other end of the link, lies a port of this machine. */
  async to(hubPort: number): Promise<number> {
    const server = createServer((device) => {
      const hub = connect(hubPort, "127.0.0.1");
      for (const socket of [device, hub]) {
        this.#sockets.add(socket);
        socket.setNoDelay(true);
        socket.on("error", () => undefined);
        socket.once("close", () => this.#sockets.delete(socket));
      }
      // What a hub sent before it closed is still under way.
      device.once("close", () => hub.destroy());
      this.#down.carry(hub, device);
      this.#up.carry(device, hub);
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("the link has no port");
    return address.port;
  }

  /** What the link carries, in bytes per second. */
  get bytesPerSecond(): number {
    return this.#shape.mbitPerSecond * 125_000;
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

interface Segment {
  readonly bytes: Buffer;
  readonly arrivesMs: number;
}

/** One connection in one direction. */
interface Flow {
  readonly from: Socket;
  readonly to: Socket;
  readonly backlog: Buffer[];
  backlogBytes: number;
  readonly underWay: Segment[];
  /** Times at which segments count as acknowledged. */
  readonly unacknowledged: number[];
  windowSegments: number;
  slowStart: boolean;
  cutUntilMs: number;
  ended: boolean;
}

class Direction {
  readonly #shape: LinkShape;
  readonly #random = seededRandom(7);
  readonly #flows = new Set<Flow>();
  #freeAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(shape: LinkShape) {
    this.#shape = shape;
  }

  carry(from: Socket, to: Socket): void {
    const flow: Flow = {
      ...{ from, to, backlog: [], backlogBytes: 0, underWay: [], unacknowledged: [], ended: false },
      ...{ windowSegments: 10, slowStart: true, cutUntilMs: 0 },
    };
    this.#flows.add(flow);
    from.on("data", (bytes: Buffer) => {
      for (let at = 0; at < bytes.length; at += segmentBytes) flow.backlog.push(bytes.subarray(at, at + segmentBytes));
      flow.backlogBytes += bytes.length;
      if (flow.backlogBytes > maxBacklogBytes) from.pause();
      this.#work();
    });
    from.once("close", () => {
      flow.ended = true;
      this.#work();
    });
    to.once("close", () => this.#flows.delete(flow));
  }

  /** Puts on the link what it takes now, hands over what has arrived, and looks again soon while there is more. */
  #work(): void {
    const nowMs = performance.now();
    for (const flow of this.#flows) this.#deliver(flow, nowMs);
    let took = true;
    while (took) {
      took = false;
      for (const flow of this.#flows) took = this.#send(flow, nowMs) || took;
    }
    const busy = [...this.#flows].some(({ backlog, underWay, ended }) => ended || backlog.length + underWay.length > 0);
    if (busy && this.#timer === undefined)
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#work();
      }, tickMs);
  }

  /** Puts the next segment of a connection into the queue of the link; false when there is none or no room. */
  #send(flow: Flow, nowMs: number): boolean {
    const { rttMs, lossShare, mbitPerSecond } = this.#shape;
    if (flow.backlog.length === 0 || this.#freeAtMs - nowMs > rttMs) return false;
    if (lossShare > 0 && flow.unacknowledged.length >= flow.windowSegments) return false;
    const bytes = flow.backlog.shift() ?? Buffer.alloc(0);
    flow.backlogBytes -= bytes.length;
    if (flow.backlogBytes <= maxBacklogBytes) flow.from.resume();
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + bytes.length / (mbitPerSecond * 125);
    const lost = lossShare > 0 && this.#random() < lossShare;
    const arrivesMs = this.#freeAtMs + rttMs / 2 + (lost ? rttMs : 0);
    const before = flow.underWay.at(-1)?.arrivesMs ?? 0;
    flow.underWay.push({ bytes, arrivesMs: Math.max(arrivesMs, before) });
    if (lossShare > 0) flow.unacknowledged.push(arrivesMs + rttMs / 2);
    if (lost && nowMs >= flow.cutUntilMs) {
      flow.slowStart = false;
      flow.cutUntilMs = this.#freeAtMs + rttMs;
      flow.windowSegments = Math.max(2, 0.7 * flow.windowSegments);
    }
    return true;
  }

  #deliver(flow: Flow, nowMs: number): void {
    const acknowledged = flow.unacknowledged.filter((atMs) => atMs <= nowMs).length;
    if (acknowledged > 0) {
      const left = flow.unacknowledged.filter((atMs) => atMs > nowMs);
      flow.unacknowledged.splice(0, flow.unacknowledged.length, ...left);
      flow.windowSegments += flow.slowStart ? acknowledged : (0.53 * acknowledged) / flow.windowSegments;
    }
    flow.to.cork();
    while ((flow.underWay[0]?.arrivesMs ?? Number.POSITIVE_INFINITY) <= nowMs) {
      const segment = flow.underWay.shift();
      if (segment !== undefined && !flow.to.destroyed) flow.to.write(segment.bytes);
    }
    flow.to.uncork();
    if (!flow.ended || flow.backlog.length + flow.underWay.length > 0) return;
    flow.to.end();
    this.#flows.delete(flow);
  }
}
