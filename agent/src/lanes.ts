import {
  backoffMs,
  type ChunkFrame,
  type ChunkRequest,
  type Clock,
  decodeFrame,
  type Log,
  maxLanes,
  messageOf,
} from "@muster/shared";
import { LaneClimb } from "./core/lane-climb.js";
import type { ChunkLink, ChunkListener, OpenLane } from "./ports.js";

export interface LanesDeps {
  /** The device's own connection, once there is one. */
  readonly main: () => ChunkLink;
  readonly open: OpenLane;
  /** No more lanes than these, whatever the hub allows. */
  readonly most: number;
  readonly clock: Clock;
  readonly log: Log;
}

interface Lane {
  readonly end: AbortController;
  ended: Promise<void>;
  open: boolean;
  /** When it is closed, because fewer are wanted; until then what was asked for on it may come. */
  closesMs: number | undefined;
}

const lookMs = 200;
/** How long a lane is left open that is not asked on any more. */
const drainMs = 5000;
/** Lanes stay open so long after a transfer: often another follows. */
const idleMs = 3000;
/** Without a chunk for so long, lanes are closed until there is one again. */
const quietMs = 60_000;
const reopen = { baseMs: 2000, capMs: 60_000 };

/**
 * The way chunks come, by the device's own connection and by lanes, as many as are worth it. While there are lanes, chunks
 * come on them only, so that messages of the device do not stand behind chunks.
 */
export class Lanes implements ChunkLink {
  readonly #deps: LanesDeps;
  readonly #listeners = new Map<number, ChunkListener>();
  readonly #lanes = new Map<number, Lane>();
  /** Lanes that ended by themselves: how often in a row, and when they are opened again. */
  readonly #failed = new Map<number, { readonly times: number; readonly againMs: number }>();
  readonly #stop = new AbortController();
  #climb = new LaneClimb(0);
  #allowed = 0;
  #wanted = 0;
  #idleSinceMs = 0;
  /** When the last chunk came. */
  #frameMs = 0;
  #watching: Promise<void> | undefined;

  constructor(deps: LanesDeps) {
    this.#deps = deps;
  }

  get connected(): boolean {
    return this.#deps.main().connected;
  }

  get ways(): readonly number[] {
    const open = [...this.#lanes].flatMap(([number, lane]) => (isUsed(lane) ? [number] : []));
    return open.length === 0 ? this.#deps.main().ways : open;
  }

  /** The hub says how many lanes this device may open there. */
  allow(lanes: number): void {
    const most = Math.min(lanes, this.#deps.most, maxLanes);
    if (most === this.#allowed) return;
    this.#allowed = most;
    this.#climb = new LaneClimb(most);
  }

  request(request: ChunkRequest): void {
    this.#deps.main().request(request);
  }

  overdue(way: number): void {
    this.#lanes.get(way)?.end.abort();
  }

  listen(transfer: number, listener: ChunkListener): () => void {
    if (this.#listeners.size === 0) this.#climb.begin();
    this.#listeners.set(transfer, listener);
    const stop = this.#deps.main().listen(transfer, {
      onFrame: (frame) => this.#onFrame(frame),
      onReply: (reply) => listener.onReply(reply),
      onConnection: (connected) => {
        if (!connected) this.#onLost();
        listener.onConnection(connected);
      },
      onLaneLost: (lane) => listener.onLaneLost(lane),
      leftBytes: () => listener.leftBytes(),
    });
    this.#watching ??= this.#watch();
    return () => {
      stop();
      this.#listeners.delete(transfer);
      this.#idleSinceMs = this.#deps.clock.steady();
    };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#watching;
    await Promise.all([...this.#lanes.values()].map(({ ended }) => ended));
  }

  /** Opens and closes lanes while there are transfers, and for a moment after. */
  async #watch(): Promise<void> {
    const { clock } = this.#deps;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const nowMs = clock.steady();
      if (this.#listeners.size === 0 && nowMs - this.#idleSinceMs > idleMs) break;
      this.#look(nowMs);
      await clock.sleep(lookMs, signal).catch(() => undefined);
    }
    this.#wanted = 0;
    this.#watching = undefined;
    for (const { end } of this.#lanes.values()) end.abort();
  }

  #look(nowMs: number): void {
    const open = [...this.#lanes.values()].filter(isUsed).length;
    const leftBytes = [...this.#listeners.values()].reduce((sum, listener) => sum + listener.leftBytes(), 0);
    const before = this.#wanted;
    // A transfer may wait for its hours or for tomorrow's bytes.
    const flows = this.#deps.main().connected && nowMs - this.#frameMs < quietMs;
    this.#wanted = flows ? this.#climb.look({ nowMs, leftBytes, open }) : 0;
    if (this.#wanted !== before) this.#deps.log.info("transfer.lanes", { lanes: this.#wanted, before });
    for (const [number, lane] of this.#lanes) {
      lane.closesMs = number <= this.#wanted ? undefined : (lane.closesMs ?? nowMs + drainMs);
      if (lane.closesMs !== undefined && nowMs >= lane.closesMs) lane.end.abort();
    }
    if (this.#listeners.size === 0) return;
    for (let number = 1; number <= this.#wanted; number += 1)
      if (!this.#lanes.has(number) && nowMs >= (this.#failed.get(number)?.againMs ?? 0)) this.#open(number);
  }

  #open(number: number): void {
    const lane: Lane = { end: new AbortController(), ended: Promise.resolve(), open: false, closesMs: undefined };
    this.#lanes.set(number, lane);
    const handlers = {
      onOpen: () => {
        lane.open = true;
        this.#failed.delete(number);
      },
      onFrame: (payload: Buffer) => this.#onPayload(payload),
    };
    lane.ended = this.#deps.open(number, handlers, lane.end.signal).then((reason) => this.#ended(number, lane, reason));
  }

  #ended(number: number, { end }: Lane, reason: string): void {
    const { clock, log } = this.#deps;
    this.#lanes.delete(number);
    if (!end.signal.aborted) {
      const times = this.#failed.get(number)?.times ?? 0;
      const againMs = clock.steady() + backoffMs(reopen, times, Math.random());
      this.#failed.set(number, { times: times + 1, againMs });
      log.info("transfer.lane.lost", { lane: number, reason });
    }
    for (const listener of this.#listeners.values()) listener.onLaneLost(number);
  }

  #onPayload(payload: Buffer): void {
    try {
      this.#onFrame(decodeFrame(payload));
    } catch (error) {
      this.#deps.log.warn("link.message.invalid", { kind: "chunk", reason: messageOf(error) });
    }
  }

  #onFrame(frame: ChunkFrame): void {
    this.#frameMs = this.#deps.clock.steady();
    this.#climb.arrived(frame.bytes.length, this.#frameMs);
    this.#listeners.get(frame.transfer)?.onFrame(frame);
  }

  /** Lanes without the device's own connection are of no use: what comes on them cannot be asked for. */
  #onLost(): void {
    for (const { end } of this.#lanes.values()) end.abort();
    this.#climb.reset();
  }
}

function isUsed({ open, closesMs, end }: Lane): boolean {
  return open && closesMs === undefined && !end.signal.aborted;
}
