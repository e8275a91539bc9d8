import {
  type BlobStore,
  type ChunkReply,
  type ChunkRequest,
  type Clock,
  encode,
  frameHeaderBytes,
  type Log,
  MusterError,
  writeFrameHeader,
} from "@muster/shared";
import { Pace } from "./core/pace.js";
import { joinReads, type Piece } from "./core/reads.js";
import type { Devices } from "./devices.js";
import type { Encodings, Packing } from "./encodings.js";
import type { Entitlement } from "./entitlement.js";
import { FramePool } from "./frame-pool.js";
import { type DeviceLink, linkRoomBytes } from "./ports.js";
import { ServingTurns } from "./serving-turns.js";

export interface TransfersDeps {
  readonly artifacts: BlobStore;
  readonly entitlement: Entitlement;
  readonly encodings: Encodings;
  readonly devices: Devices;
  readonly link: DeviceLink;
  readonly clock: Clock;
  readonly settings: {
    readonly log: Log;
    readonly deviceBytesPerSecond: number;
    /** To all devices together; 0 for no limit. */
    readonly totalBytesPerSecond: number;
  };
}

/** Requests that may wait in one line, and of one device in all; it keeps fewer in flight. */
const maxWaiting = { line: 16, device: 64 };
/** Devices whose requests may wait; others are told to come back. */
const maxDevices = 1024;
/** Devices that are sent chunks at the same time; the others wait for their turn. */
const maxServed = 64;
const busyRetryMs = 1000;
/** A device that is fetching is believed to want the same for so long, instead of reading the store for every request. */
const lookMs = 1000;
/** Chunks that are read from disk in one go, and sent in one turn; as many more are read while they are sent. */
const chunksPerRead = 4;
/** Below such a limit a turn is one chunk, so that turns stay short. */
const smallTurnsBelow = 8 * 1024 * 1024;
/** Where the bytes of a chunk begin in a pooled buffer. */
const payloadAt = linkRoomBytes + frameHeaderBytes;

/** A chunk as it lies on the disk. */
interface Chunk extends Piece {
  /** Where its plain bytes begin in the blob that was asked for. */
  readonly of: number;
  readonly deflated: boolean;
}

/** What is remembered of a connected device. */
interface Client {
  readonly pace: Pace;
  /** What it may fetch in the state it was seen in. */
  allowed: { readonly state: string; readonly digests: ReadonlySet<string> } | undefined;
  /** What it might fetch in the state before. */
  before: ReadonlySet<string> | undefined;
  /** When its state was looked at. */
  lookedMs: number;
  /** What it fetches, as far as it was looked up since then. */
  readonly blobs: Map<string, StoredBlob>;
}

/** A blob as the store has it. */
interface StoredBlob {
  readonly sizeBytes: number;
  readonly packing: Packing | undefined;
}

/** Answers devices' requests for bytes, out of the artifact store alone, each device in its own line and all in fair turns. */
export class Transfers {
  readonly #deps: TransfersDeps;
  /** Requests that wait, of every device that is being served, in a line for its own connection (0) and each lane in use. */
  readonly #lines = new Map<string, Map<number, ChunkRequest[]>>();
  readonly #clients = new Map<string, Client>();
  readonly #turns: ServingTurns;
  readonly #chunksPerTurn: number;
  readonly #frames = new FramePool();
  #refused = 0;
  #sentBytes = 0;

  constructor(deps: TransfersDeps) {
    this.#deps = deps;
    const { deviceBytesPerSecond: each, totalBytesPerSecond: total } = deps.settings;
    this.#turns = new ServingTurns(deps.clock, maxServed, total);
    const slow = [each, total].some((limit) => limit > 0 && limit < smallTurnsBelow);
    this.#chunksPerTurn = slow ? 1 : chunksPerRead;
  }

  /** Bytes of artifacts sent since the start. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Requests that got no bytes since the start. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Queues a request; resolves when the line it is in is empty again. Lanes are served independently of each other, as one of
   * them may stand still; what is sent on them counts as the device's.
   */
  async answer(device: string, request: ChunkRequest): Promise<void> {
    const lane = (request.lane ?? 0) > this.#deps.link.lanes ? 0 : (request.lane ?? 0);
    const lines = this.#lines.get(device) ?? new Map<number, ChunkRequest[]>();
    for (const line of lines.values()) dropAskedAgain(line, request);
    const line = lines.get(lane);
    const waiting = [...lines.values()].reduce((sum, { length }) => sum + length, 0);
    const full = waiting >= maxWaiting.device || (line?.length ?? 0) >= maxWaiting.line;
    if (full || (lines.size === 0 && this.#lines.size >= maxDevices))
      return this.#reply(device, request, "busy", busyRetryMs);
    if (line !== undefined) {
      line.push(request);
      return;
    }
    const mine = [request];
    this.#lines.set(device, lines.set(lane, mine));
    try {
      for (let next = mine.shift(); next !== undefined; next = mine.shift()) await this.#serve(device, lane, next);
    } catch (error) {
      // The device or its lane went away or does not read; it asks again when it is back.
      this.#deps.settings.log.debug("transfer.interrupted", { device, lane, error });
    } finally {
      lines.delete(lane);
      if (lines.size === 0) this.#lines.delete(device);
    }
  }

  /** Drops what was remembered of a device that went away. */
  forget(device: string): void {
    this.#clients.delete(device);
  }

  async #serve(device: string, lane: number, request: ChunkRequest): Promise<void> {
    const client = this.#client(device);
    const refusal = await this.#refusal(device, client, request.blob);
    if (refusal !== undefined) return this.#reply(device, request, refusal);
    const blob = await this.#blob(client, request.blob);
    if (blob === undefined) return this.#reply(device, request, "gone");
    if (request.ranges.some(([offset, length]) => offset + length > blob.sizeBytes))
      return this.#reply(device, request, "range");
    const packing = request.accept === undefined ? undefined : blob.packing;
    const chunks = request.ranges.map(([offset, length]): Chunk => {
      const packed = packing?.chunks.get(offset);
      if (packing === undefined || packed?.length !== length)
        return { blob: request.blob, offset, length, of: offset, deflated: false };
      return { blob: packing.blob, offset: packed.offset, length: packed.packed, of: offset, deflated: true };
    });
    // A lane is there because it is slow: it holds no more in memory than it sends.
    const reads = joinReads(chunks, lane === 0 ? this.#chunksPerTurn : 1);
    let ahead: Promise<Buffer[]> | undefined;
    for (const [at, read] of reads.entries()) {
      await this.#turn(device, client, read);
      try {
        const frames = await (ahead ?? this.#read(request, read));
        // The next chunks are read while those before are on their way. In a crowd the sending of others covers that, and
        // nobody holds in memory what it may not send yet.
        ahead = this.#turns.crowded || lane > 0 ? undefined : quietly(this.#read(request, reads[at + 1] ?? []));
        for (const frame of frames) await this.#send(device, lane, frame);
      } finally {
        this.#turns.done(device);
      }
    }
  }

  /** Waits until the device may be sent these chunks: for its own pace first, then for its turn among the others. */
  async #turn(device: string, { pace }: Client, chunks: readonly Chunk[]): Promise<void> {
    const { clock } = this.#deps;
    const bytes = chunks.reduce((sum, { length }) => sum + frameHeaderBytes + length, 0);
    const waitMs = pace.take(bytes, clock.steady());
    if (waitMs > 0) await clock.sleep(waitMs);
    await this.#turns.take(device, bytes);
  }

  /** Frames of chunks that lie behind each other. */
  async #read({ transfer, request }: ChunkRequest, chunks: readonly Chunk[]): Promise<Buffer[]> {
    const [first] = chunks;
    if (first === undefined) return [];
    const frames = chunks.map(({ length }) => this.#frames.take(length));
    const targets = frames.map((frame) => frame.subarray(payloadAt));
    const wanted = targets.reduce((sum, { length }) => sum + length, 0);
    const bytes = await this.#deps.artifacts.readInto(first.blob, first.offset, targets);
    if (bytes !== wanted)
      throw new MusterError("artifact/missing", `blob ${first.blob} ends before ${first.offset + wanted} bytes`);
    for (const [at, { of: offset, length, deflated }] of chunks.entries()) {
      const header = frames[at]?.subarray(linkRoomBytes);
      if (header !== undefined) writeFrameHeader(header, { transfer, request, offset, deflated }, length);
    }
    return frames;
  }

  async #send(device: string, lane: number, frame: Buffer): Promise<void> {
    this.#sentBytes += frame.length - payloadAt;
    await this.#deps.link.sendFrame(device, frame, lane);
    this.#frames.give(frame);
  }

  /** Why a device may not fetch a blob; undefined when it may. */
  async #refusal(device: string, client: Client, blob: string): Promise<"denied" | "superseded" | undefined> {
    const { clock, devices, entitlement } = this.#deps;
    const nowMs = clock.steady();
    if (nowMs - client.lookedMs < lookMs && client.allowed?.digests.has(blob) === true) return undefined;
    client.lookedMs = nowMs;
    client.blobs.clear();
    const record = await devices.get(device);
    const state = entitlement.stateOf(record);
    if (client.allowed?.state !== state) {
      client.before = client.allowed?.digests;
      client.allowed = { state, digests: await entitlement.of(record) };
    }
    if (client.allowed.digests.has(blob)) return undefined;
    return client.before?.has(blob) === true ? "superseded" : "denied";
  }

  async #blob(client: Client, digest: string): Promise<StoredBlob | undefined> {
    const known = client.blobs.get(digest);
    if (known !== undefined) return known;
    const { artifacts, encodings } = this.#deps;
    const sizeBytes = await artifacts.size(digest);
    if (sizeBytes === undefined) return undefined;
    const blob = { sizeBytes, packing: await encodings.packing(digest) };
    client.blobs.set(digest, blob);
    return blob;
  }

  #client(device: string): Client {
    const { clock, settings } = this.#deps;
    const known = this.#clients.get(device) ?? {
      pace: new Pace(settings.deviceBytesPerSecond, clock.steady()),
      allowed: undefined,
      before: undefined,
      lookedMs: Number.NEGATIVE_INFINITY,
      blobs: new Map(),
    };
    this.#clients.set(device, known);
    return known;
  }

  async #reply(
    device: string,
    { transfer, request, blob }: ChunkRequest,
    error: ChunkReply["error"],
    retryMs?: number,
  ): Promise<void> {
    this.#refused += 1;
    this.#deps.settings.log.info("transfer.refused", { device, blob, reason: error });
    const reply: ChunkReply = { transfer, request, error, ...(retryMs === undefined ? {} : { retryMs }) };
    await this.#deps.link.send(device, "reply", encode(reply)).catch((failure) => {
      if (!(failure instanceof MusterError && failure.code === "link/closed")) throw failure;
    });
  }
}

/** A promise that is awaited later; until then its failure must not count as unhandled. */
function quietly<T>(pending: Promise<T>): Promise<T> {
  pending.catch(() => undefined);
  return pending;
}

/** A device asks again for what took too long. Sent twice it would take longer still, for this device and all others. */
function dropAskedAgain(line: ChunkRequest[], { transfer, blob, ranges }: ChunkRequest): void {
  const again = new Set(ranges.map(([offset]) => offset));
  const left = line.flatMap((waiting): ChunkRequest[] => {
    if (waiting.transfer !== transfer || waiting.blob !== blob) return [waiting];
    const others = waiting.ranges.filter(([offset]) => !again.has(offset));
    return others.length === 0 ? [] : [{ ...waiting, ranges: others }];
  });
  line.splice(0, line.length, ...left);
}
