import {
  asMusterError,
  type BuiltEngine,
  type Clock,
  type EngineList,
  type EngineShare,
  type Envelope,
  type Log,
  MusterError,
  newId,
  PrebuiltEngine,
  prebuiltEngineType,
  type SharedEngine,
  type ShareEngine,
  seal,
  verifyPrebuiltEngine,
} from "@muster/shared";
import type { Catalog } from "./catalog.js";
import { inScope } from "./core/permission.js";
import type { Devices } from "./devices.js";
import { type Candidate, candidateOf } from "./engine-candidate.js";
import { type EngineIntake, sizeOf } from "./engine-intake.js";
import type { EngineNews } from "./engine-news.js";
import { heldViews, isTrusted, listed, sharedView } from "./engine-view.js";
import type { Garbage } from "./garbage.js";
import type { EngineStore, StoredEngine } from "./store/engine-store.js";
import type { Storing } from "./storing.js";
import type { Trust } from "./trust.js";

export interface EngineSharingDeps {
  readonly engines: EngineStore;
  readonly intake: EngineIntake;
  readonly blobs: { readonly storing: Storing; readonly garbage: Pick<Garbage, "sweep"> };
  readonly trust: Pick<Trust, "root" | "release">;
  readonly fleet: {
    readonly catalog: Pick<Catalog, "get" | "list">;
    readonly devices: Pick<Devices, "get" | "list">;
    readonly news: Pick<EngineNews, "tell">;
  };
  readonly settings: { readonly clock: Clock; readonly log: Log };
}

/** Makes the change, and the record of who made it. */
export type Recorded = (subject: string, make: () => Promise<SharedEngine>) => Promise<SharedEngine>;

/** Engines are fetched from so many devices at a time; how so many sharings ended is remembered. */
const maxFetching = 2;
const maxRemembered = 64;

/** A sharing that is under way. */
interface Running {
  readonly request: ShareEngine;
  readonly over: Promise<void>;
  readonly stop: AbortController;
}

/** Shares what one device built with all of its class: fetched, stored, signed by the release role, told to who needs it. */
export class EngineSharing {
  readonly #deps: EngineSharingDeps;
  readonly #shares = new Map<string, EngineShare>();
  readonly #running = new Map<string, Running>();
  /** What devices are told, one engine after the other. */
  #telling: Promise<void> = Promise.resolve();

  constructor(deps: EngineSharingDeps) {
    this.#deps = deps;
  }

  /** What is shared, and what devices of the scope hold. */
  async list(scope = "", model?: string): Promise<EngineList> {
    const { engines, trust, fleet } = this.#deps;
    const [stored, devices] = [await engines.list(), await fleet.devices.list()];
    const versions = await fleet.catalog.list(model);
    const context = { scope, fleet: new Map(devices.map((device) => [device.id, device])) };
    const shared = stored.flatMap((one) => sharedView(one, versions, trust.root, context) ?? []);
    const visible = devices.filter(({ id, labels }) => inScope(scope, id, labels));
    return { shared: shared.filter((one) => one.versions.length > 0), held: heldViews(visible, versions, stored) };
  }

  /**
   * Begins to share the engine that a device built of the version it runs; {@link share} tells how it goes on. Asked for the
   * same again it goes on with what is here. Throws `device/unknown`, `model/unknown`, `engine/unknown`, `engine/exists`,
   * `engine/busy`, `artifact/too-large`, `request/invalid`, or `signature/key-needed` when the hub is to sign and cannot.
   */
  async begin(request: ShareEngine, record: Recorded): Promise<EngineShare> {
    const { trust, intake, settings } = this.#deps;
    if (!request.draft && trust.release === undefined) throw keyNeeded();
    const candidate = await candidateOf(request, this.#deps.fleet);
    const busy = [...this.#running].find(([, running]) => running.request.device === request.device);
    if (busy !== undefined && JSON.stringify(busy[1].request) === JSON.stringify(request)) return this.share(busy[0]);
    if (busy !== undefined || this.#running.size >= maxFetching) throw busyNow(request.device, busy !== undefined);
    intake.requireSize(candidate.built);
    const id = newId("s", settings.clock.now());
    this.#set(id, candidate, { state: "fetching" }, 0);
    const stop = new AbortController();
    const over = this.#run(id, candidate, record, stop.signal).finally(() => this.#running.delete(id));
    this.#running.set(id, { request, over, stop });
    return this.share(id);
  }

  /** How far a sharing has come. Throws `engine/unknown`. */
  share(id: string): EngineShare {
    const share = this.#shares.get(id);
    if (share !== undefined) return share;
    throw new MusterError("engine/unknown", `no sharing ${id} is known here; the hub was restarted, so share it again`);
  }

  /**
   * Ends a sharing and waits for that; whole files stay for a day. Throws `engine/unknown`, or `request/invalid` when it had
   * ended already.
   */
  async cancel(id: string): Promise<void> {
    const running = this.#running.get(id);
    running?.stop.abort(new MusterError("engine/cancelled", "the sharing was cancelled; share it again to go on"));
    await running?.over;
    const { state } = this.share(id);
    if (running === undefined || state !== "failed")
      throw new MusterError("request/invalid", `the sharing ${id} had ended before: it is ${state}`);
  }

  /** The engine whose bytes an envelope holds. Throws `engine/unknown` when it was not prepared here. */
  async prepared({ payload }: Pick<Envelope, "payload">): Promise<StoredEngine> {
    const found = await this.#deps.engines.byPayload(payload);
    if (found !== undefined) return found;
    throw new MusterError("engine/unknown", "no engine of these bytes was prepared; share it again");
  }

  /**
   * Shares a prepared engine with the signature over it. Throws `signature/invalid` when the release keys of the root in force
   * did not sign it, `engine/unknown` when it was not prepared here.
   */
  async sign(envelope: Envelope): Promise<SharedEngine> {
    const { engines, trust, blobs, settings } = this.#deps;
    // While nothing is swept: the bytes of what is found here are here, too.
    const stored = await blobs.storing.during(async () => {
      const found = await this.prepared(envelope);
      verifyPrebuiltEngine(envelope, trust.root, found.engine);
      const signed = { envelope, atMs: settings.clock.now() };
      // With another signature it is another one to those who have heard of it.
      const id = found.signed === undefined ? found.id : newId("e", signed.atMs);
      if (await engines.sign(found.id, id, signed)) return { ...found, id, signed };
      throw new MusterError("engine/unknown", `${found.id} was taken back meanwhile; share it again`);
    });
    const { artifact, builtBy } = stored.engine;
    settings.log.info("engine.shared", { engine: stored.id, artifact, builtBy });
    this.#tell(stored);
    return this.#view(stored);
  }

  /** What is known of a shared engine, for the record. Throws `engine/unknown`. */
  async get(id: string): Promise<StoredEngine> {
    const found = (await this.#deps.engines.list()).find((one) => one.id === id);
    if (found !== undefined) return found;
    throw new MusterError("engine/unknown", `no engine ${id} is shared; see: muster engine ls`);
  }

  /** Takes an engine back: no device gets it any more. Those that have it keep it. Throws `engine/unknown`. */
  async remove(id: string): Promise<void> {
    const { engines, blobs, settings } = this.#deps;
    const stored = await this.get(id);
    await engines.remove(id);
    settings.log.info("engine.removed", { engine: id });
    this.#tell(stored);
    // The engine is gone, whether or not its bytes can be removed now; the next sweep tries again.
    await blobs.garbage.sweep().catch((error) => settings.log.error("garbage.sweep.failed", { error }));
  }

  /** Ends what is being fetched, of which whole files stay, and waits until devices have been told. */
  async close(): Promise<void> {
    for (const { stop } of this.#running.values())
      stop.abort(new MusterError("link/closed", "the hub is being stopped"));
    await Promise.all([...this.#running.values()].map(({ over }) => over));
    await this.#telling;
  }

  /** Nobody waits for a fleet to be told: whoever is missed hears of it with the next document. */
  #tell({ id, engine }: StoredEngine): void {
    const { fleet, settings } = this.#deps;
    this.#telling = this.#telling
      .then(() => fleet.news.tell(engine))
      .catch((error) => settings.log.error("engine.news.failed", { engine: id, error }));
  }

  async #run(id: string, candidate: Candidate, record: Recorded, signal: AbortSignal): Promise<void> {
    const { log } = this.#deps.settings;
    const { device, model, version, draft } = candidate.request;
    try {
      const stored = await this.#stored(id, candidate, signal);
      signal.throwIfAborted();
      if (stored.signed !== undefined) {
        this.#set(id, candidate, { state: "shared", engine: await this.#view(stored) });
      } else if (draft) {
        this.#set(id, candidate, { state: "prepared", payloadType: prebuiltEngineType, payload: stored.payload });
      } else {
        const engine = await record(`${model} ${version} ${stored.id}`, () => this.#signHere(stored));
        this.#set(id, candidate, { state: "shared", engine });
      }
    } catch (error) {
      const { code, message } = asMusterError(error);
      log.warn("engine.share.failed", { device, model, version, code, reason: message });
      this.#set(id, candidate, { state: "failed", error: { code, message } });
    }
  }

  /** The engine in the store, fetched unless exactly it is there already. Throws `engine/exists` and what fetching does. */
  async #stored(id: string, candidate: Candidate, signal: AbortSignal): Promise<StoredEngine> {
    const { engines, intake, blobs, settings } = this.#deps;
    const { built, hardware, engineClass: own, device } = candidate;
    const there = await this.#there(candidate);
    if (there !== undefined) return there;
    const onBytes = (doneBytes: number) => this.#set(id, candidate, { state: "fetching" }, doneBytes);
    await intake.fetch(candidate, onBytes, signal);
    const stored = await blobs.storing.during(async () => {
      const createdMs = settings.clock.now();
      const files = await intake.keep(built);
      const engine = { artifact: built.artifact, engineClass: own, builtBy: device, createdMs, files };
      const payload = Buffer.from(JSON.stringify(PrebuiltEngine.parse(engine))).toString("base64");
      const kept: StoredEngine = { id: newId("e", createdMs), engine, payload, signed: undefined, hardware };
      // Another device's may have come first.
      const other = await this.#there(candidate);
      if (other === undefined) await engines.put(kept);
      return other ?? kept;
    });
    await intake.forget(built);
    return stored;
  }

  /** The very engine, if it is here and good or waits for its signature. Throws `engine/exists` when a good one of other bytes is. */
  async #there({ built, engineClass: own }: Candidate): Promise<StoredEngine | undefined> {
    const { engines, trust } = this.#deps;
    const there = await engines.find(built.artifact, own);
    if (there === undefined) return undefined;
    const good = there.signed !== undefined && isTrusted(there.signed.envelope, there.engine, trust.root);
    if (sameFiles(listed(there.engine), built.files)) return good || there.signed === undefined ? there : undefined;
    if (!good) return undefined;
    const cure = `take it back first: muster engine rm ${there.id}`;
    throw new MusterError("engine/exists", `${there.id} of this model file is shared with these devices; ${cure}`);
  }

  async #signHere({ payload }: StoredEngine): Promise<SharedEngine> {
    const { release } = this.#deps.trust;
    if (release === undefined) throw keyNeeded();
    return this.sign(seal(prebuiltEngineType, Buffer.from(payload, "base64"), [release]));
  }

  async #view(stored: StoredEngine): Promise<SharedEngine> {
    const { trust, fleet } = this.#deps;
    const view = sharedView(stored, await fleet.catalog.list(), trust.root, { scope: "", fleet: new Map() });
    if (view === undefined) throw new MusterError("internal", `engine ${stored.id} is not signed`);
    return view;
  }

  #set(id: string, { request, built }: Candidate, next: NextState, doneBytes = sizeOf(built.files)): void {
    const { model, version, device } = request;
    this.#shares.delete(id);
    this.#shares.set(id, { id, model, version, device, doneBytes, totalBytes: sizeOf(built.files), ...next });
    for (const [old, { state }] of this.#shares) {
      if (this.#shares.size <= maxRemembered) break;
      if (state !== "fetching") this.#shares.delete(old);
    }
  }
}

type NextState = StateOf<EngineShare>;
type StateOf<S> = S extends unknown
  ? Omit<S, "id" | "model" | "version" | "device" | "doneBytes" | "totalBytes">
  : never;

function sameFiles(a: BuiltEngine["files"], b: BuiltEngine["files"]): boolean {
  const inOrder = (files: BuiltEngine["files"]) =>
    JSON.stringify(files.map(({ name, sha256, sizeBytes }) => [name, sha256, sizeBytes]).sort());
  return inOrder(a) === inOrder(b);
}

function keyNeeded(): MusterError {
  return new MusterError(
    "signature/key-needed",
    "the release key is not on this hub; sign there where it is: --key FILE",
  );
}

function busyNow(device: string, thisOne: boolean): MusterError {
  const what = thisOne ? `an engine of ${device} is` : `${maxFetching} engines are`;
  return new MusterError("engine/busy", `${what} being fetched now; try again in a while`);
}
