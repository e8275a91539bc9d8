import {
  type Artifact,
  type DeviceError,
  type Hardware,
  type Manifest,
  MusterError,
  type Outcome,
  type Root,
  unwrapKey,
  verifyManifest,
  type Wanted,
} from "@muster/shared";
import type { Step } from "./core/next-step.js";
import { chooseVariant, incompatibility, planProviders } from "./core/provider-plan.js";
import { DeviceFault, outcomeOf } from "./faults.js";
import { candidateOf, commit, installedOf, offered, variantOf, withCandidate, wrappedKeyOf } from "./installed.js";
import type { BlobShelf, Runner, RunTrial } from "./ports.js";
import type { Slot } from "./runner/protocol.js";
import { seedsOf, shelvedManifest } from "./shelved.js";
import { emptyModel, type Installed, type ModelState, withFinished } from "./state.js";
import type { Transfer, TransferProgress } from "./transfer.js";

export interface StepDeps {
  readonly shelf: BlobShelf;
  readonly transfer: Transfer;
  readonly runner: Runner;
  readonly trial: RunTrial;
  readonly device: {
    /** Whose signatures count now. */
    readonly root: () => Root;
    /** What keys of encrypted artifacts are wrapped for; PEM. */
    readonly sealingKey: string;
    readonly hardware: () => Promise<Hardware>;
    readonly agentVersion: string;
    readonly trialTimeoutMs: number;
  };
  readonly now: () => number;
}

/** What carrying out a step is about. */
export interface StepContext {
  readonly model: string;
  readonly state: ModelState;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: TransferProgress) => void;
}

/** Carries out one step and returns the state it leads to. A step that fails ends the attempt; only an abort, and what keeps a repair from being done, is thrown. */
export class Steps {
  readonly #deps: StepDeps;

  constructor(deps: StepDeps) {
    this.#deps = deps;
  }

  async run(step: Step, context: StepContext): Promise<ModelState> {
    try {
      return await this.#do(step, context);
    } catch (error) {
      // A repair is no attempt that could end.
      if (context.signal.aborted || step.do === "repair") throw error;
      return this.#giveUp(context.model, context.state, ...outcomeOf(error));
    }
  }

  /** The installed version as the runner takes it. Throws `artifact/…`. */
  async slot(model: string, installed: Installed): Promise<Slot> {
    const { version, artifact, provider, threads, manifest: manifestDigest, wrappedKey } = installed;
    const manifest = await shelvedManifest(this.#deps.shelf, manifestDigest);
    return {
      ...{ model, version, manifestDigest, manifest, artifact, provider, threads },
      modelPath: this.#deps.shelf.path(artifact),
      ...this.#key(manifest, artifact, wrappedKey),
    };
  }

  async #do(step: Step, context: StepContext): Promise<ModelState> {
    const { model, state } = context;
    const nowMs = this.#deps.now();
    switch (step.do) {
      case "begin":
        return { ...state, candidate: offered(step.wanted, nowMs) };
      case "acknowledge": {
        const { attempt, version, manifest } = step.wanted;
        const { committed } = state;
        const known = committed === undefined ? state : { ...state, committed: { ...committed, attempt } };
        return withFinished(known, { attempt, version, manifest: manifest.sha256, outcome: "committed", atMs: nowMs });
      }
      case "repair":
        return this.#repair(context, step.installed, step.wanted);
      case "describe":
        return this.#describe(context);
      case "download":
        return this.#download(context);
      case "begin-trial":
        return withCandidate(state, (candidate) => ({
          ...candidate,
          phase: "trial",
          phaseSinceMs: nowMs,
          trialStarts: candidate.trialStarts + 1,
        }));
      case "trial":
        return this.#trial(context);
      case "activate":
        return this.#activate(context);
      case "commit":
        return commit(state, nowMs);
      case "give-up":
        return this.#giveUp(model, state, step.outcome, step.error);
      case "fall-back":
        return this.#fallBack(model, state, step.error);
      case "remove":
        return this.#remove(state);
    }
  }

  async #describe({ model, state, signal }: StepContext): Promise<ModelState> {
    const { transfer, device } = this.#deps;
    const { manifest: ref, version } = candidateOf(state);
    await transfer.fetchSmall(ref, signal);
    const manifest = await this.#manifest(model, version, ref.sha256, state);
    const hardware = await device.hardware();
    const unfit = incompatibility(manifest, hardware, device.agentVersion);
    if (unfit !== undefined) throw new DeviceFault("no-variant", "E_NO_VARIANT", unfit);
    const variant = chooseVariant(manifest, hardware);
    if (variant === undefined)
      throw new DeviceFault("no-variant", "E_NO_VARIANT", "no variant fits into this device's memory");
    return withCandidate(state, (candidate) => ({
      ...candidate,
      phase: "downloading",
      phaseSinceMs: this.#deps.now(),
      release: manifest.release,
      variant: variant.name,
      artifact: variant.artifact.sha256,
      artifactBytes: variant.artifact.sizeBytes,
    }));
  }

  async #download(context: StepContext): Promise<ModelState> {
    const { model, state } = context;
    const candidate = candidateOf(state);
    const manifest = await this.#manifest(model, candidate.version, candidate.manifest.sha256, state);
    await this.#fetch(manifest, variantOf(manifest, candidate).artifact, candidate.hints, context);
    return withCandidate(state, (before) => ({ ...before, phase: "verified", phaseSinceMs: this.#deps.now() }));
  }

  /** Fetches what is damaged of an installed version; the committed one is put back in service. */
  async #repair(context: StepContext, installed: Installed, wanted: Wanted | undefined): Promise<ModelState> {
    const { transfer, shelf, runner } = this.#deps;
    const { model, state, signal } = context;
    const { manifest: sha256, manifestBytes = wanted?.manifest.sizeBytes } = installed;
    if (manifestBytes !== undefined) await transfer.fetchSmall({ sha256, sizeBytes: manifestBytes }, signal);
    const manifest = await shelvedManifest(shelf, sha256);
    await this.#fetch(manifest, variantOf(manifest, installed).artifact, wanted?.hints, context);
    if (installed !== state.committed) return state;
    await runner.load(await this.slot(model, installed));
    await runner.activate(sha256);
    return state;
  }

  /** Brings an artifact and the samples of its manifest here, if there is room. */
  async #fetch(manifest: Manifest, artifact: Artifact, hints: Wanted["hints"], context: StepContext): Promise<void> {
    const { transfer, shelf, device } = this.#deps;
    const { state, signal, onProgress } = context;
    const { freeDiskBytes } = await device.hardware();
    const neededBytes = artifact.sizeBytes * 1.1 - (await shelf.diskBytes(artifact.sha256));
    if (neededBytes > freeDiskBytes) {
      const sizes = `needs ${Math.ceil(neededBytes)} more bytes, ${freeDiskBytes} are free`;
      throw new DeviceFault("failed", "E_DISK", `${sizes}; make room in the data folder`);
    }
    const hint = hints?.find((entry) => entry.artifact === artifact.sha256);
    await transfer.fetchArtifact(artifact, signal, onProgress, { seeds: await seedsOf(state, shelf), hint });
    for (const { input } of manifest.selfTest.samples) await transfer.fetchSmall(input, signal);
  }

  async #trial({ model, state, signal }: StepContext): Promise<ModelState> {
    const { shelf, trial, device } = this.#deps;
    const candidate = candidateOf(state);
    const manifest = await this.#manifest(model, candidate.version, candidate.manifest.sha256, state);
    const { artifact } = variantOf(manifest, candidate);
    const result = await trial(
      {
        manifest,
        artifact: artifact.sha256,
        modelPath: shelf.path(artifact.sha256),
        samplePaths: manifest.selfTest.samples.map(({ input }) => shelf.path(input.sha256)),
        candidates: planProviders(await device.hardware()),
        ...this.#key(manifest, artifact.sha256, wrappedKeyOf(candidate)),
      },
      { timeoutMs: device.trialTimeoutMs, signal },
    );
    signal.throwIfAborted();
    if (result.kind === "failed") throw new DeviceFault("rejected", result.error.code, result.error.detail);
    const { provider, threads } = result;
    return withCandidate(state, (before) => ({
      ...before,
      phase: "proven",
      phaseSinceMs: this.#deps.now(),
      provider,
      threads,
    }));
  }

  async #activate({ model, state }: StepContext): Promise<ModelState> {
    const installed = installedOf(candidateOf(state));
    await this.#deps.runner.load(await this.slot(model, installed));
    await this.#deps.runner.activate(installed.manifest);
    return withCandidate(state, (candidate) => ({ ...candidate, phase: "probation", phaseSinceMs: this.#deps.now() }));
  }

  /** Ends the attempt. A version that was in service gives way to the committed one first. */
  async #giveUp(model: string, state: ModelState, outcome: Outcome, error: DeviceError): Promise<ModelState> {
    const { candidate, committed } = state;
    if (candidate === undefined) return state;
    const { attempt, version, manifest, phase } = candidate;
    let ended = outcome;
    if (phase === "probation" || phase === "proven") {
      ended = (await this.#serve(model, committed, candidate.manifest.sha256)) ? outcome : "rollback-failed";
    }
    const { candidate: _, ...rest } = state;
    return withFinished(rest, {
      attempt,
      version,
      manifest: manifest.sha256,
      outcome: ended,
      error,
      atMs: this.#deps.now(),
    });
  }

  async #fallBack(model: string, state: ModelState, error: DeviceError): Promise<ModelState> {
    const { committed, previous } = state;
    if (committed === undefined || previous === undefined) return state;
    const outcome: Outcome = (await this.#serve(model, previous, committed.manifest))
      ? "rolled-back"
      : "rollback-failed";
    const { previous: _, ...rest } = state;
    const { attempt, version, manifest } = committed;
    return withFinished(
      { ...rest, committed: previous },
      { attempt, version, manifest, outcome, error, atMs: this.#deps.now() },
    );
  }

  /** Puts a version back in service instead of another; false when that failed. */
  async #serve(model: string, installed: Installed | undefined, instead: string): Promise<boolean> {
    const { runner } = this.#deps;
    try {
      if (installed !== undefined) {
        await runner.load(await this.slot(model, installed));
        await runner.activate(installed.manifest);
      }
      if (installed?.manifest !== instead) await runner.unload(instead);
      return true;
    } catch (error) {
      // A crashed runner comes back with the committed version by itself.
      return error instanceof MusterError && error.code === "runner/crashed";
    }
  }

  async #remove(state: ModelState): Promise<ModelState> {
    if (state.committed !== undefined) await this.#deps.runner.unload(state.committed.manifest);
    return { ...emptyModel, releaseFloor: state.releaseFloor, finished: state.finished };
  }

  /** The key of an encrypted artifact, unwrapped; nothing for a plain one. */
  #key({ variants }: Manifest, digest: string, wrapped: string | undefined): { key?: string } {
    const encrypted = variants.some(({ artifact }) => artifact.sha256 === digest && artifact.encryption !== undefined);
    if (!encrypted) return {};
    if (wrapped === undefined) {
      throw new MusterError(
        "artifact/undecryptable",
        "the artifact is encrypted and the hub sent no key for this device",
      );
    }
    return { key: unwrapKey(wrapped, this.#deps.device.sealingKey, digest).toString("base64") };
  }

  async #manifest(model: string, version: string, digest: string, state: ModelState): Promise<Manifest> {
    const envelope: unknown = JSON.parse((await this.#deps.shelf.read(digest)).toString("utf8"));
    const { releaseFloor, previous } = state;
    return verifyManifest(envelope, this.#deps.device.root(), {
      model,
      version,
      releaseFloor,
      lastGood: previous?.manifest,
      digest,
    });
  }
}
