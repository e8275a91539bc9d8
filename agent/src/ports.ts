import type { ChunkFrame, ChunkReply, ChunkRequest, DownKind, ShadowPlan, UpKind } from "@muster/shared";
import type { Pulse, RunnerStatus, RunnerWindow, Slot, TrialRequest, TrialResult } from "./runner/protocol.js";
import type { ServingSettings } from "./runner/serving-settings.js";

/** The inference process, as the rest of the agent sees it. Every call throws `runner/crashed` if the process ends first. */
export interface Runner {
  /** Loads and warms up a version beside whatever serves. Throws `engine/failed`, `artifact/digest-mismatch`. */
  load(slot: Slot): Promise<void>;
  /** Puts a loaded version in service for its model, without an unanswered request. */
  activate(manifestDigest: string): Promise<void>;
  /** Gives a loaded version that does not serve a copy of some inputs, and compares. Throws `model/unknown`. */
  shadow(manifestDigest: string, plan: ShadowPlan): Promise<void>;
  /** Whether nothing runs in the shadow for now. */
  pauseShadows(paused: boolean): Promise<void>;
  /** Releases a version; no error when it is not loaded. */
  unload(manifestDigest: string): Promise<void>;
  /** What was measured since the last call; at most one window per version that worked. */
  takeWindows(): Promise<RunnerWindow[]>;
  status(): Promise<RunnerStatus>;
}

/** Proves a version in processes of its own. Never throws for what the model does; see {@link TrialResult}. */
export type RunTrial = (
  request: TrialRequest,
  options: {
    timeoutMs: number;
    signal: AbortSignal;
    /** A candidate is tried next, so many of so many. */
    onCandidate?: (candidate: TrialRequest["candidates"][number], number: number, of: number) => void;
  },
) => Promise<TrialResult>;

/** Numbered records that wait, durably, until the hub has stored them. */
export interface Spool<T> {
  /** Names this numbering: numbers of another stream say nothing about this one. */
  readonly stream: string;
  /** Adds a record and returns its number, rising by one from 1. Beyond the cap the oldest is dropped and counted. */
  add(record: (seq: number) => T): Promise<number>;
  /** The oldest records, at most `limit`. */
  oldest(limit: number): Promise<T[]>;
  /** Deletes all records up to and including the number. */
  acknowledge(seq: number): Promise<void>;
  /** Records that wait, and records that were dropped since the spool was opened. */
  counts(): { waiting: number; dropped: number };
}

/** The way bytes are asked for and arrive. */
export interface ChunkLink {
  /** Whether the hub can be reached now. */
  readonly connected: boolean;
  /** On which ways chunks may be asked for now: 0 for the device's own connection, others for its lanes. */
  readonly ways: readonly number[];
  /** What was asked for on a way did not come in its time. */
  overdue(way: number): void;
  /** Sends a request; without a connection it is dropped, and asked again later. */
  request(request: ChunkRequest): void;
  /** Calls the listener for every frame, reply and loss of connection of one transfer, until the returned function is called. */
  listen(transfer: number, listener: ChunkListener): () => void;
}

export interface ChunkListener {
  onFrame(frame: ChunkFrame): void;
  onReply(reply: ChunkReply): void;
  onConnection(connected: boolean): void;
  /** A lane has ended: what was asked for on it does not come. */
  onLaneLost(lane: number): void;
  /** Bytes that have still to come. */
  leftBytes(): number;
}

/**
 * Opens one lane: a further connection of this device on which chunks come. Resolves with why it ended; never throws.
 * `onOpen` is called once chunks may be asked for on it.
 */
export type OpenLane = (
  lane: number,
  handlers: { onOpen(): void; onFrame(payload: Buffer): void },
  signal: AbortSignal,
) => Promise<string>;

/** A blob on its way to disk. */
export interface PartialBlob {
  /** Offsets of the ranges that are on disk already and were verified again. */
  readonly present: ReadonlySet<number>;
  /** Writes a verified range; durable at the latest half a second or 1 MiB later, and the time of a sync. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /**
   * Verifies the whole and moves it to its place, durably. Throws `artifact/digest-mismatch`, and the partial is gone
   * then; after any other failure it stays for a later try.
   */
  finish(): Promise<void>;
  /** Stops writing and keeps what is there for a later try. */
  close(): Promise<void>;
}

/** Where this device keeps blobs. */
export interface BlobShelf {
  /** Where a blob lies. */
  path(digest: string): string;
  has(digest: string): Promise<boolean>;
  /** Whether a blob is there and is what its digest says; reads all of it. */
  isWhole(digest: string): Promise<boolean>;
  /** Bytes of the disk that a blob takes, or what there is of it in part. */
  diskBytes(digest: string): Promise<number>;
  read(digest: string): Promise<Buffer>;
  /** Bytes of a blob; fewer at its end. Throws `artifact/missing`. */
  slice(digest: string, offset: number, length: number): Promise<Buffer>;
  /** Removes a blob, and what there is of it in part; no error when there is nothing. */
  remove(digest: string): Promise<void>;
  /**
   * Opens a blob for writing and picks up what an earlier try left, or what is good of a blob that lies damaged in its
   * place. `ranges` name the verifiable pieces.
   */
  begin(
    digest: string,
    sizeBytes: number,
    ranges: readonly { offset: number; length: number; sha256: string }[],
  ): Promise<PartialBlob>;
  /** Deletes every blob and partial that is not named. */
  keepOnly(digests: ReadonlySet<string>): Promise<void>;
}

/** Why a runner's process ended without being asked to: by itself, or because it was killed for hanging or for its size. */
export type RunnerFault = "crash" | "hang" | "memory";

/** How a runner's process ended. */
export interface RunnerEnding {
  readonly fault: RunnerFault;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** A sentence on it. */
  readonly detail: string;
  /** The manifests of the versions that an engine was at work on; empty when none was, or nobody knows. */
  readonly suspects: readonly string[];
}

/** A runner whose process can end and be started again. */
export interface RunnerProcess extends Runner {
  /** How applications ask, once it was started; with the same port after every start. */
  readonly serving: ServingSettings | undefined;
  /** Starts the process; resolves when it answers. `beforeListening` is awaited just before it takes its port. */
  start(beforeListening?: () => Promise<void>): Promise<void>;
  /** Whether it answers at all, and what it takes. A process that does not answer in time is killed. */
  pulse(): Promise<Pulse>;
  /** Ends a process that must not go on; the listeners are told why. */
  kill(fault: RunnerFault, detail: string): void;
  /** Calls the listener whenever the process ended without being asked to. */
  onExit(listener: (ending: RunnerEnding) => void): void;
  close(): Promise<void>;
}

/** Answers for the runner while it is down. */
export interface StandIn {
  /** Takes the runner's place and refuses every request with 503 and the reason, until it is closed. */
  open(settings: ServingSettings, reason: string): Promise<void>;
  /** Gives the address back; a no-op when it is not open. */
  close(): Promise<void>;
}

/** What an uplink tells its owner. */
export interface LinkHandlers {
  onConnected(): void;
  onLost(): void;
  onMessage(kind: DownKind, payload: Buffer): void;
}

/** A connection to the broker that comes back by itself. */
export interface UpLink {
  readonly connected: boolean;
  /** Resolves when the broker has acknowledged (QoS 1) or the socket has taken the message. Throws `link/closed`. */
  send(kind: UpKind, payload: Buffer): Promise<void>;
  /** Ends the connection in order and opens it again at once, with the identity as it is then. */
  reconnect(): Promise<void>;
  close(): Promise<void>;
}

/** What the inference library is and can do here; every part is asked in a process of its own, which it may end. */
export interface RuntimeProbe {
  readonly version: string;
  readonly build: string;
  /** Execution providers that the build has, or could load if their libraries were there, and why one does not work. */
  readonly providers: readonly { readonly provider: string; readonly bundled: boolean; readonly fault?: string }[];
  /** Why it cannot even be loaded. */
  readonly error?: string;
}

/** How far a connection to the hub came. */
export type HubCheck =
  | { readonly error: string }
  /** When the hub's certificate is valid, epoch milliseconds. */
  | { readonly protocol: string; readonly tookMs: number; readonly fromMs: number; readonly untilMs: number };

/** Looks whether the hub lets this device in; never throws. All but the address is PEM. */
export type CheckHub = (identity: {
  readonly mqttUrl: string;
  readonly ca: string;
  readonly certificate: string;
  readonly privateKey: string;
}) => Promise<HubCheck>;

/** One call by HTTP. */
export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** For all of it, from the look-up of the name to the last byte. */
  readonly timeoutMs: number;
  /** The most bytes of the answer's body. */
  readonly maxBytes: number;
  /** Authorities to trust in place of the system's, PEM. */
  readonly ca?: string;
  readonly signal?: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

/**
 * Calls by HTTP once, without following redirects, which would carry a login elsewhere. Any status is an answer. Throws
 * an error that names what went wrong, without headers and body.
 */
export type HttpCaller = (request: HttpRequest) => Promise<HttpAnswer>;

/** How to connect to a broker, and what to do with what comes. */
export interface BrokerOptions {
  readonly url: string;
  readonly clientId: string;
  /** Whether the broker forgets subscriptions and what waits for them when the connection ends. */
  readonly clean: boolean;
  readonly keepaliveSeconds: number;
  readonly user?: string;
  readonly password?: string;
  /** PEM. */
  readonly ca?: string;
  readonly certificate?: string;
  readonly privateKey?: string;
  readonly will?: { readonly topic: string; readonly payload: Buffer };
  /** Filters and their QoS. */
  readonly subscribe: Readonly<Record<string, 0 | 1>>;
  readonly onMessage: (topic: string, payload: Buffer) => MessagePace | undefined;
  /** Called once the subscriptions stand, before the message that follows. */
  readonly onOpen?: (session: BrokerSession) => void;
  /** Ends the connection with a good-bye, or gives up the attempt. */
  readonly signal: AbortSignal;
  /** Whether there is no good-bye: one that is dead would be waited for. */
  readonly abrupt?: boolean;
}

/** For a message that takes time; both begin when it arrives. */
export interface MessagePace {
  /** The next message is read once this resolves; it never rejects. */
  readonly readOn: Promise<void>;
  /** A message of QoS 1 is acknowledged once this resolves to true. With false the broker sends it again, after the next connect. */
  readonly done: Promise<boolean>;
}

/** A connection to a broker. */
export interface BrokerSession {
  /** Resolves when the broker has it (QoS 1) or when it is on its way (QoS 0). Throws `link/closed`. */
  publish(topic: string, payload: string | Buffer, options: { qos: 0 | 1; retain?: boolean }): Promise<void>;
  /** Resolves with the reason when the connection is over; it is not opened again. */
  readonly ended: Promise<string>;
}

/**
 * Connects and subscribes. Throws `link/closed` with the reason; its cause has a `code` of 4 or 5 when the broker
 * refused the login.
 */
export type BrokerConnector = (options: BrokerOptions) => Promise<BrokerSession>;
