import { freemem, totalmem } from "node:os";
import { MusterError, type RunnerUsage } from "@muster/shared";
import { isShort, memoryCapBytes } from "../core/memory-cap.js";
import { LoadedSlot, type SlotOptions } from "./loaded-slot.js";
import type { Pulse, RunnerStatus, Slot } from "./protocol.js";

/** What is in service for one model, and what was before it. */
interface Line {
  serving: LoadedSlot | undefined;
  /** Stays warm, so that going back takes no load. */
  previous: LoadedSlot | undefined;
}

/** The versions in memory and which of them serves each model. */
export class Slots {
  readonly #options: SlotOptions;
  readonly #loaded = new Map<string, LoadedSlot>();
  readonly #loading = new Map<string, Promise<void>>();
  readonly #lines = new Map<string, Line>();
  /** What each provider took by itself when it ran its first model here; it keeps that. */
  readonly #providerBytes = new Map<string, number>();
  /** Releases under way. */
  readonly #leaving = new Set<Promise<void>>();

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  /**
   * Loads and warms up a version beside whatever serves; a no-op when it is loaded.
   * Throws `artifact/digest-mismatch`, `artifact/missing`, `engine/failed`.
   */
  load(slot: Slot): Promise<void> {
    const { manifestDigest } = slot;
    if (this.#loaded.has(manifestDigest)) return Promise.resolve();
    const loading = this.#loading.get(manifestDigest) ?? this.#load(slot);
    this.#loading.set(manifestDigest, loading);
    return loading;
  }

  /** Puts a loaded version in service; the one before finishes what it has and stays warm. Throws `model/unknown`. */
  activate(manifestDigest: string): void {
    const next = this.loaded(manifestDigest);
    const { model, version } = next.slot;
    const before = this.#lines.get(model) ?? { serving: undefined, previous: undefined };
    if (before.serving === next) return;
    this.#lines.set(model, { serving: next, previous: before.serving });
    // One version back is enough to go back to; older ones only cost memory.
    if (before.previous !== undefined && before.previous !== next) void this.#release(before.previous);
    this.#options.log.info("runner.version.activated", { model, version, before: before.serving?.slot.version });
  }

  /** Takes a version out of service, lets it answer what it has, and frees it; a no-op when it is not loaded. */
  async unload(manifestDigest: string): Promise<void> {
    await this.#loading.get(manifestDigest)?.catch(() => undefined);
    const leaving = this.#loaded.get(manifestDigest);
    if (leaving !== undefined) await this.#release(leaving);
  }

  /**
   * What serves a model. Throws `model/unknown` when others serve but nothing of this name is loaded, and
   * `runner/not-serving` when it may come yet.
   */
  serving(model: string): LoadedSlot {
    const serving = this.#lines.get(model)?.serving;
    if (serving !== undefined) return serving;
    const names = this.names();
    if (this.versions(model).length > 0 || names.length === 0) {
      throw new MusterError("runner/not-serving", `no version of ${model} is in service on this device yet; try later`);
    }
    throw new MusterError("model/unknown", `there is no model ${model} on this device; it has ${names.join(", ")}`);
  }

  /** The loaded version of a model, in service or not. Throws `model/unknown`. */
  version(model: string, version: string): LoadedSlot {
    const versions = this.versions(model);
    const found = versions.find(({ slot }) => slot.version === version);
    if (found !== undefined) return found;
    const loaded = versions.map(({ slot }) => slot.version).join(", ") || "none";
    throw new MusterError("model/unknown", `version ${version} of ${model} is not loaded; loaded: ${loaded}`);
  }

  /** A loaded version by its manifest. Throws `model/unknown`. */
  loaded(manifestDigest: string): LoadedSlot {
    const found = this.#loaded.get(manifestDigest);
    if (found !== undefined) return found;
    throw new MusterError("model/unknown", `no version with manifest ${manifestDigest} is loaded; load it first`);
  }

  /** The loaded versions of a model. */
  versions(model: string): LoadedSlot[] {
    return [...this.#loaded.values()].filter(({ slot }) => slot.model === model);
  }

  /** The models in service. */
  names(): string[] {
    return [...this.#lines].filter(([, { serving }]) => serving !== undefined).map(([model]) => model);
  }

  /** Whether the version is the one that serves its model. */
  serves(loaded: LoadedSlot): boolean {
    return this.#lines.get(loaded.slot.model)?.serving === loaded;
  }

  status(): RunnerStatus["models"] {
    return [...this.#loaded.values()].map((loaded) => {
      const { model, version, manifestDigest } = loaded.slot;
      const { queued, running } = loaded;
      return { model, version, manifestDigest, serving: this.serves(loaded), queued, running };
    });
  }

  /** What all versions take together, and may take. */
  usage(rssBytes: number): Omit<RunnerUsage, "maxQueued"> {
    const queued = [...this.#loaded.values()].reduce((sum, loaded) => sum + loaded.queued, 0);
    const { maxWorkers } = this.#options;
    return { workers: this.#workers(), maxWorkers, queued, ...this.#memory(rssBytes) };
  }

  /** What the process takes, and may take. When memory is short, versions that are only kept warm go. */
  pulse(rssBytes: number): Pulse {
    const memory = this.#memory(rssBytes);
    if (isShort(memory, { freeBytes: freemem(), totalBytes: totalmem() })) this.#coolDown();
    return memory;
  }

  /** Engine threads in all; of the versions of a model only those of the one that has most, because one works at a time. */
  #workers(): number {
    const most = new Map<string, number>();
    for (const { slot, threads } of this.#loaded.values())
      most.set(slot.model, Math.max(threads, most.get(slot.model) ?? 0));
    return [...most.values()].reduce((sum, threads) => sum + threads, 0);
  }

  #memory(rssBytes: number): Pulse {
    const loaded = [...this.#loaded.values()].map(({ slot, threads }) => {
      return { memoryMb: slot.manifest.budgets.memoryMb, threads };
    });
    const providers = [...this.#providerBytes.values()].reduce((sum, bytes) => sum + bytes, 0);
    const capBytes = memoryCapBytes(this.#options.memoryMb, loaded, providers);
    return { rssBytes, ...(capBytes === undefined ? {} : { capBytes }) };
  }

  #coolDown(): void {
    for (const { previous } of [...this.#lines.values()]) {
      if (previous === undefined) continue;
      const { model, version } = previous.slot;
      this.#options.log.warn("runner.version.not-kept-warm", { model, version });
      void this.#release(previous);
    }
  }

  /** Frees all versions, each after it has answered what it has. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#loading.values());
    for (const loaded of [...this.#loaded.values()]) void this.#release(loaded);
    await Promise.all(this.#leaving);
    this.#options.spares.close();
  }

  async #load(slot: Slot): Promise<void> {
    const { model, version, manifestDigest, provider, threads } = slot;
    // As many as the version that serves has needed, so that taking over from it under load is no step back.
    const atFirst = this.#lines.get(model)?.serving?.threads ?? 1;
    const aside = this.names().length > 0;
    try {
      const mayGrow = () => this.#workers() < this.#options.maxWorkers;
      const loaded = await LoadedSlot.load(slot, this.#options, { atFirst, aside, mayGrow });
      this.#loaded.set(manifestDigest, loaded);
      const { actual } = loaded.running;
      if (!this.#providerBytes.has(actual)) this.#providerBytes.set(actual, loaded.providerBytes);
      this.#options.log.info("runner.version.loaded", { model, version, provider, threads });
    } finally {
      this.#loading.delete(manifestDigest);
    }
  }

  #release(leaving: LoadedSlot): Promise<void> {
    const { model, version, manifestDigest } = leaving.slot;
    this.#loaded.delete(manifestDigest);
    const line = this.#lines.get(model);
    if (line?.serving === leaving) line.serving = undefined;
    if (line?.previous === leaving) line.previous = undefined;
    if (line?.serving === undefined && line?.previous === undefined) this.#lines.delete(model);
    const released = leaving.release().then(() => {
      this.#leaving.delete(released);
      this.#options.log.info("runner.version.unloaded", { model, version });
    });
    this.#leaving.add(released);
    return released;
  }
}
