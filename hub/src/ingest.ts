import {
  asMusterError,
  ChunkRequest,
  type Command,
  decode,
  EventBatch,
  encode,
  Hello,
  type Log,
  RenewalRequest,
  Reported,
  TelemetryBatch,
  type UpKind,
  Will,
} from "@muster/shared";
import type { Certificates } from "./certificates.js";
import type { DesiredDocuments } from "./desired.js";
import type { Devices } from "./devices.js";
import type { DriftWatch } from "./drift.js";
import type { EnginePulls } from "./engine-pulls.js";
import type { EventLog } from "./events.js";
import type { DeviceLink, LinkListener } from "./ports.js";
import type { Rollouts } from "./rollouts.js";
import { sightOf } from "./sighting.js";
import type { Telemetry } from "./telemetry.js";
import type { Transfers } from "./transfers.js";

export interface IngestDeps {
  readonly link: DeviceLink;
  readonly devices: Devices;
  readonly certificates: Certificates;
  readonly desired: DesiredDocuments;
  readonly transfers: Transfers;
  readonly pulls: Pick<EnginePulls, "take">;
  readonly evidence: {
    readonly events: EventLog;
    readonly telemetry: Telemetry;
    readonly drift: DriftWatch;
    readonly rollouts: Rollouts;
  };
  readonly log: Log;
}

/** Messages of one device that may wait to be stored; a device sends the rest again. */
const maxWaiting = 1000;

/** Takes what devices send, in the order each sent it, and acknowledges only what is stored. */
export class Ingest implements LinkListener {
  readonly #deps: IngestDeps;
  readonly #lines = new Map<string, { waiting: number; last: Promise<void> }>();
  readonly #counters = { "message-invalid": 0, "message-dropped": 0, "message-failed": 0 };
  #closed = false;

  constructor(deps: IngestDeps) {
    this.#deps = deps;
  }

  /** Messages that were not stored, by reason. */
  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters };
  }

  onAlive(device: string): void {
    this.#deps.devices.alive(device);
  }

  onGone(device: string): void {
    this.#deps.transfers.forget(device);
    this.#enqueue(device, () => this.#guarded(device, "will", () => this.#deps.devices.gone(device)));
  }

  onMessage(device: string, kind: UpKind, payload: Buffer): void {
    if (kind === "request") {
      // Requests wait in the transfer's own lines, so that a slow download does not hold up reports.
      this.#guard(device, kind, () =>
        this.#deps.transfers.answer(device, decode(ChunkRequest, payload, "chunk request")),
      );
      return;
    }
    if (kind === "upload") {
      // Only what was asked for is kept, and no order matters, so it need not wait for reports to be stored.
      this.#guard(device, kind, async () => this.#deps.pulls.take(device, payload));
      return;
    }
    this.#enqueue(device, () => this.#guarded(device, kind, () => this.#take(device, kind, payload)));
  }

  /** Waits until everything taken so far is stored; takes nothing more. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#lines.values()].map(({ last }) => last));
  }

  async #take(device: string, kind: UpKind, payload: Buffer): Promise<void> {
    const { devices, desired, evidence } = this.#deps;
    switch (kind) {
      case "hello": {
        const hello = decode(Hello, payload, "hello");
        await devices.hello(device, hello);
        await evidence.events.append(device, "device.connected", { bootId: hello.bootId, agent: hello.agentVersion });
        await desired.resend(device);
        await evidence.rollouts.tick();
        return;
      }
      case "reported": {
        const reported = decode(Reported, payload, "reported state");
        const before = await devices.report(device, reported);
        if (before === undefined || sightOf(before) !== sightOf(reported)) await evidence.rollouts.tick();
        return;
      }
      case "event": {
        const { stream, events } = decode(EventBatch, payload, "events");
        await evidence.events.take(device, stream, events);
        await this.#acknowledge(device, stream, "events", events.at(-1)?.seq ?? 0);
        return;
      }
      case "telemetry": {
        const { stream, windows } = decode(TelemetryBatch, payload, "telemetry");
        await evidence.telemetry.take(device, stream, windows);
        await this.#acknowledge(device, stream, "windows", windows.at(-1)?.seq ?? 0);
        // A version in the shadow gets a sample only, and its drift would hide that of the one that serves.
        const serving = windows.filter(({ shadow }) => shadow === undefined);
        const served = new Map(serving.map(({ model, version }) => [`${model} ${version}`, { model, version }]));
        for (const { model, version } of served.values()) await evidence.drift.check(device, model, version);
        return;
      }
      case "renew": {
        const answer = await this.#deps.certificates.renew(device, decode(RenewalRequest, payload, "renewal request"));
        await this.#deps.link.send(device, "command", encode(answer satisfies Command));
        return;
      }
      case "will": {
        const { bootId } = decode(Will, payload, "last will");
        await evidence.events.append(device, "device.lost", { bootId });
        return;
      }
      default:
        this.#deps.log.debug("ingest.kind.unused", { device, kind });
    }
  }

  async #acknowledge(device: string, stream: string, of: "events" | "windows", seq: number): Promise<void> {
    const command: Command = { type: "ack", stream, of, seq };
    await this.#deps.link.send(device, "command", encode(command));
  }

  #enqueue(device: string, work: () => Promise<void>): void {
    if (this.#closed) return;
    const line = this.#lines.get(device) ?? { waiting: 0, last: Promise.resolve() };
    if (line.waiting >= maxWaiting) {
      this.#counters["message-dropped"] += 1;
      return;
    }
    this.#lines.set(device, line);
    line.waiting += 1;
    line.last = line.last.then(work).then(() => {
      line.waiting -= 1;
      if (line.waiting === 0) this.#lines.delete(device);
    });
  }

  #guard(device: string, kind: UpKind, work: () => Promise<void>): void {
    void this.#guarded(device, kind, work);
  }

  /** A message that fails is counted and told; it never reaches the broker as an exception. */
  async #guarded(device: string, kind: UpKind, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const { code, message } = asMusterError(error);
      if (code === "link/closed") return;
      if (code === "message/invalid" || code === "frame/invalid") {
        this.#counters["message-invalid"] += 1;
        this.#deps.log.warn("ingest.message.invalid", { device, kind, reason: message });
      } else {
        this.#counters["message-failed"] += 1;
        this.#deps.log.error("ingest.message.failed", { device, kind, error });
      }
    }
  }
}
