import {
  type Clock,
  type ExplainQuery,
  type Log,
  MusterError,
  newId,
  parseWith,
  type Rollout,
  type RolloutAction,
  type RolloutExplanation,
  type RolloutList,
  type RolloutPlan,
  type RolloutQuery,
  RolloutSettings,
  type StartRollout,
  Turns,
  type VersionView,
  type Wanted,
} from "@muster/shared";
import type { Catalog } from "./catalog.js";
import { planWaves } from "./core/fleet.js";
import { advance, command, isActive } from "./core/rollout.js";
import type { DesiredDocuments } from "./desired.js";
import type { DeviceRecord, Devices } from "./devices.js";
import type { Encodings } from "./encodings.js";
import type { EventLog } from "./events.js";
import { joinLate, stillMeant } from "./membership.js";
import { explainRollout } from "./rollout-explanation.js";
import { rolloutView } from "./rollout-view.js";
import { attemptOf, backAttempt, sightings } from "./sighting.js";
import type { RolloutStore, StoredProgress, StoredRollout } from "./store/rollout-store.js";

export interface RolloutsDeps {
  readonly store: RolloutStore;
  readonly catalog: Catalog;
  readonly devices: Devices;
  readonly desired: DesiredDocuments;
  readonly events: EventLog;
  /** An older version may need its shorter forms again. */
  readonly encodings: Pick<Encodings, "kick">;
  readonly settings: { readonly clock: Clock; readonly log: Log };
}

/** Brings versions to devices, wave by wave. The only writer of what a device is wanted to run. */
export class Rollouts {
  readonly #deps: RolloutsDeps;
  /** One step at a time: two at once could both offer. */
  readonly #turns = new Turns();
  #nextTick: Promise<void> | undefined;

  constructor(deps: RolloutsDeps) {
    this.#deps = deps;
  }

  /**
   * Who would get the version in which wave, and who not and why. The order of devices follows from
   * the version, so that a rollout does what its plan showed and versions differ in who is first.
   * Throws `model/unknown`, `selector/invalid`, `request/invalid`.
   */
  async plan(request: StartRollout): Promise<RolloutPlan> {
    const { catalog, devices, store } = this.#deps;
    const { model, version } = await catalog.get(request.model, request.version);
    const settings = parseWith(RolloutSettings, request.settings, "request/invalid", "settings");
    const busy = await store.busyDevices(model);
    const skipped: RolloutPlan["skipped"] = [];
    const chosen: string[] = [];
    for (const { id } of await devices.list(request.selector)) {
      const other = busy.get(id);
      if (other === undefined) chosen.push(id);
      else skipped.push({ device: id, reason: `rollout ${other} of ${model} has not ended` });
    }
    return { model, version, waves: planWaves(chosen, settings.waves, `${model} ${version}`), skipped, settings };
  }

  /** Starts a rollout of what {@link plan} shows. Throws `rollout/conflict` when it would reach no device. */
  async start(request: StartRollout): Promise<Rollout> {
    // Planned and stored in one turn, so that two rollouts of a model never claim the same device.
    const id = await this.#turns.take(() => this.#begin(request));
    await this.tick();
    this.#deps.encodings.kick();
    return this.get(id);
  }

  async #begin(request: StartRollout): Promise<string> {
    const { store, events, settings } = this.#deps;
    const nowMs = settings.clock.now();
    const id = newId("r", nowMs);
    const plan = await this.plan(request);
    if (plan.waves.length === 0) {
      const why = plan.skipped[0] === undefined ? `no device matches '${request.selector}'` : plan.skipped[0].reason;
      throw new MusterError("rollout/conflict", `the rollout would reach no device: ${why}`);
    }
    const rollout: StoredRollout = {
      id,
      model: plan.model,
      version: plan.version,
      selector: request.selector,
      createdMs: nowMs,
      changedMs: nowMs,
      state: "running",
      settings: plan.settings,
      waves: plan.waves.map(() => ({ state: "pending" })),
    };
    const progress = plan.waves.flatMap((wave, at) =>
      wave.map((device): StoredProgress => ({ device, wave: at, state: "waiting", tries: 0, previous: undefined })),
    );
    await store.insert(rollout, progress);
    await events.append(undefined, "rollout.started", {
      rollout: id,
      model: plan.model,
      version: plan.version,
      devices: progress.length,
    });
    return id;
  }

  /** Throws `rollout/unknown`. */
  async get(id: string): Promise<Rollout> {
    const { rollout, progress } = await this.#found(id);
    return rolloutView(rollout, progress, await this.#fleet());
  }

  async #found(id: string): Promise<NonNullable<Awaited<ReturnType<RolloutStore["find"]>>>> {
    const found = await this.#deps.store.find(id);
    if (found !== undefined) return found;
    throw new MusterError("rollout/unknown", `no rollout ${id}; see: muster rollout ls`);
  }

  /** Why a rollout is where it is. Throws `rollout/unknown`. */
  async explain(id: string, query: ExplainQuery): Promise<RolloutExplanation> {
    const { rollout, progress } = await this.#found(id);
    return explainRollout(rollout, progress, await this.#fleet(), query, this.#deps.settings.clock.now());
  }

  /** A page of those rollouts that `visible` lets through by their selector, newest first. Throws `rollout/unknown`. */
  async list({ limit, before }: RolloutQuery, visible: (selector: string) => boolean): Promise<RolloutList> {
    const { store } = this.#deps;
    const chosen: string[] = [];
    let from = before;
    // One more than is wanted tells whether there is another page.
    while (chosen.length <= limit) {
      const rows = await store.page(limit + 1, from);
      chosen.push(...rows.filter(({ selector }) => visible(selector)).map(({ id }) => id));
      from = rows.at(-1)?.id;
      if (rows.length <= limit) break;
    }
    const ids = chosen.slice(0, limit);
    const next = chosen.length > limit ? ids.at(-1) : undefined;
    const fleet = await this.#fleet();
    const found = await Promise.all(ids.map((id) => store.find(id)));
    const rollouts = found.flatMap((each) =>
      each === undefined ? [] : [rolloutView(each.rollout, each.progress, fleet)],
    );
    return { rollouts, ...(next === undefined ? {} : { next }) };
  }

  /** How many rollouts have not ended. */
  activeCount(): Promise<number> {
    return this.#deps.store.activeCount();
  }

  /** Rollouts that have not ended and bring a version to devices, or would take devices back to it. */
  async naming(
    version: Pick<VersionView, "model" | "version" | "manifestDigest">,
  ): Promise<Pick<StoredRollout, "id" | "selector">[]> {
    const named: StoredRollout[] = [];
    for (const id of await this.#deps.store.openIds()) {
      const found = await this.#deps.store.find(id);
      if (found === undefined || found.rollout.model !== version.model) continue;
      const back = found.progress.some(({ previous }) => previous?.manifest.sha256 === version.manifestDigest);
      const returns = isActive(found.rollout.state) && back;
      if (found.rollout.version === version.version || returns) named.push(found.rollout);
    }
    return named;
  }

  /** Does something to a version while no rollout begins or goes on. */
  whileStill<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.take(work);
  }

  /** Pauses, resumes or halts. Throws `rollout/unknown`, or `rollout/conflict` when its state does not allow it. */
  async act(id: string, action: RolloutAction): Promise<Rollout> {
    const { store, events, settings } = this.#deps;
    await this.#turns.take(async () => {
      const found = await this.#found(id);
      const next = command(found.rollout, action);
      if (next === undefined)
        throw new MusterError("rollout/conflict", `rollout ${id} is ${found.rollout.state}; it cannot ${action}`);
      await store.save(
        { ...found.rollout, ...next, reason: next.reason, changedMs: settings.clock.now() },
        found.progress,
      );
      await events.append(undefined, `rollout.${action}`, { rollout: id });
    });
    await this.tick();
    return this.get(id);
  }

  /**
   * Takes every open rollout as far as it goes now. Call it when a device reported, and from time to time. Those who call
   * it while one waits for its turn share that one: it will see what they have stored.
   */
  tick(): Promise<void> {
    this.#nextTick ??= this.#turns.take(async () => {
      this.#nextTick = undefined;
      for (const id of await this.#deps.store.openIds()) {
        // One that cannot go on holds up no other.
        await this.#advance(id).catch((error) =>
          this.#deps.settings.log.error("rollout.advance.failed", { rollout: id, error }),
        );
      }
    });
    return this.#nextTick;
  }

  async #fleet(): Promise<Map<string, DeviceRecord>> {
    return new Map((await this.#deps.devices.list()).map((device) => [device.id, device]));
  }

  async #advance(id: string): Promise<void> {
    const { store, settings } = this.#deps;
    const fleet = await this.#fleet();
    // Each turn stores what it decided before anything is told to a device; the loop ends when nothing changes.
    for (let turns = 0; turns < 100; turns += 1) {
      const found = await store.find(id);
      if (found === undefined) return;
      const { rollout } = found;
      await this.#carryOut(rollout, found.progress);
      const members = isActive(rollout.state)
        ? joinLate(rollout, stillMeant(rollout, found.progress, fleet), fleet, await store.busyDevices(rollout.model))
        : found.progress;
      const seen = sightings(rollout, members);
      const sight = (device: string) => seen(fleet.get(device));
      const next = advance(rollout, members, sight, settings.clock.now());
      const previous = new Map(members.map((member) => [member.device, member.previous]));
      const offered = new Set(
        next.orders.filter((order) => order.do === "offer" && order.tries === 0).map(({ device }) => device),
      );
      const progress = next.progress.map((member): StoredProgress => {
        const before = offered.has(member.device)
          ? wantedOf(fleet.get(member.device), rollout.model)
          : previous.get(member.device);
        return { ...member, previous: before };
      });
      const changed = JSON.stringify([next.rollout, progress]) !== JSON.stringify([rollout, found.progress]);
      if (!changed) return;
      const stored = { ...rollout, ...next.rollout, reason: next.rollout.reason, changedMs: settings.clock.now() };
      await store.save(stored, progress);
      if (stored.state !== rollout.state) await this.#tell(stored);
    }
  }

  /**
   * Makes every device's desired document say what the stored rollout says. Derived from the stored
   * state rather than from the step's orders, so that a crash between storing and telling is made
   * good by the next tick; what is wanted already is not issued again.
   */
  async #carryOut(rollout: StoredRollout, progress: readonly StoredProgress[]): Promise<void> {
    const { catalog, desired } = this.#deps;
    if (!isActive(rollout.state)) return;
    const manifest = await catalog.manifestRef(rollout.model, rollout.version);
    for (const { device, state, tries, previous } of progress) {
      if (state === "offered" || state === "started" || state === "laggard") {
        const attempt = attemptOf(rollout.id, tries);
        const probationMs = rollout.settings.probationMs;
        const { model, version } = rollout;
        const shadow = shadowPlan(rollout.settings);
        await desired.want(device, model, { model, version, manifest, attempt, probationMs, ...shadow });
      } else if (state === "withdrawn") {
        const back = previous === undefined ? undefined : { ...previous, attempt: backAttempt(rollout.id) };
        await desired.want(device, rollout.model, back);
      }
    }
  }

  async #tell({ id, state, reason, model, version }: StoredRollout): Promise<void> {
    const { events, settings } = this.#deps;
    await events.append(undefined, `rollout.${state}`, {
      rollout: id,
      model,
      version,
      ...(reason === undefined ? {} : { reason }),
    });
    settings.log.info(`rollout.${state}`, { rollout: id, model, version, reason });
  }
}

function shadowPlan(settings: RolloutSettings): Pick<Wanted, "shadow"> {
  // Rollouts that were stored before there were shadows say nothing of them.
  const { shadowMs = 0, shadowShare, shadowCpuShare, minAgreement } = settings;
  return shadowMs === 0 ? {} : { shadow: { ms: shadowMs, share: shadowShare, cpuShare: shadowCpuShare, minAgreement } };
}

function wantedOf(device: DeviceRecord | undefined, model: string): Wanted | undefined {
  return device?.wanted.find((wanted) => wanted.model === model);
}
