import {
  type Clock,
  type Log,
  MusterError,
  newId,
  parseWith,
  type Rollout,
  type RolloutAction,
  type RolloutPlan,
  RolloutSettings,
  type StartRollout,
  type Wanted,
} from "@muster/shared";
import type { Catalog } from "./catalog.js";
import { parseSelector, planWaves, selects } from "./core/fleet.js";
import { advance, command, isActive } from "./core/rollout.js";
import type { DesiredDocuments } from "./desired.js";
import type { DeviceRecord, Devices } from "./devices.js";
import type { EventLog } from "./events.js";
import { rolloutView } from "./rollout-view.js";
import { attemptOf, backAttempt, sighting } from "./sighting.js";
import type { RolloutStore, StoredProgress, StoredRollout } from "./store/rollout-store.js";

export interface RolloutsDeps {
  readonly store: RolloutStore;
  readonly catalog: Catalog;
  readonly devices: Devices;
  readonly desired: DesiredDocuments;
  readonly events: EventLog;
  readonly settings: { readonly clock: Clock; readonly log: Log };
}

/** Brings versions to devices, wave by wave. The only writer of what a device is wanted to run. */
export class Rollouts {
  readonly #deps: RolloutsDeps;
  /** One step at a time: two at once could both offer. */
  #turn: Promise<unknown> = Promise.resolve();

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
    const id = await this.#exclusive(() => this.#begin(request));
    await this.tick();
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
    const { store, devices } = this.#deps;
    const found = await store.find(id);
    if (found === undefined) throw new MusterError("rollout/unknown", `no rollout ${id}; see: muster rollout ls`);
    const fleet = new Map((await devices.list()).map((device) => [device.id, device]));
    return rolloutView(found.rollout, found.progress, fleet);
  }

  /** Newest first. */
  async list(): Promise<Rollout[]> {
    const ids = await this.#deps.store.ids();
    return Promise.all(ids.map((id) => this.get(id)));
  }

  /** How many rollouts have not ended. */
  async activeCount(): Promise<number> {
    return (await this.#deps.store.states()).filter(isActive).length;
  }

  /** Pauses, resumes or halts. Throws `rollout/unknown`, or `rollout/conflict` when its state does not allow it. */
  async act(id: string, action: RolloutAction): Promise<Rollout> {
    const { store, events, settings } = this.#deps;
    await this.#exclusive(async () => {
      const found = await store.find(id);
      if (found === undefined) throw new MusterError("rollout/unknown", `no rollout ${id}; see: muster rollout ls`);
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

  /** Takes every open rollout as far as it goes now. Call it when a device reported, and from time to time. */
  async tick(): Promise<void> {
    await this.#exclusive(async () => {
      for (const id of await this.#deps.store.openIds()) {
        // One that cannot go on holds up no other.
        await this.#advance(id).catch((error) =>
          this.#deps.settings.log.error("rollout.advance.failed", { rollout: id, error }),
        );
      }
    });
  }

  async #advance(id: string): Promise<void> {
    const { store, devices, settings } = this.#deps;
    const fleet = new Map((await devices.list()).map((device) => [device.id, device]));
    // Each turn stores what it decided before anything is told to a device; the loop ends when nothing changes.
    for (let turns = 0; turns < 100; turns += 1) {
      const found = await store.find(id);
      if (found === undefined) return;
      const { rollout } = found;
      await this.#carryOut(rollout, found.progress);
      const members = isActive(rollout.state)
        ? joinLate(rollout, stillMeant(rollout, found.progress, fleet), fleet, await store.busyDevices(rollout.model))
        : found.progress;
      const sight = (device: string) => sighting(rollout, members, fleet.get(device));
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

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
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

/** Devices that were not offered the version yet and no longer match leave the rollout. */
function stillMeant(
  { selector }: StoredRollout,
  progress: readonly StoredProgress[],
  fleet: ReadonlyMap<string, DeviceRecord>,
): readonly StoredProgress[] {
  const parsed = parseSelector(selector);
  return progress.filter(({ device, state, tries }) => {
    const known = fleet.get(device);
    return state !== "waiting" || tries > 0 || known === undefined || selects(parsed, device, known.labels);
  });
}

/** Devices that match since the rollout began enter its last wave, as long as that has not passed. */
function joinLate(
  rollout: StoredRollout,
  progress: readonly StoredProgress[],
  fleet: ReadonlyMap<string, DeviceRecord>,
  busy: ReadonlyMap<string, string>,
): readonly StoredProgress[] {
  if (rollout.state !== "running" && rollout.state !== "paused") return progress;
  const last = rollout.waves.length - 1;
  if (rollout.waves[last]?.state === "passed") return progress;
  const selector = parseSelector(rollout.selector);
  const known = new Set(progress.map(({ device }) => device));
  const late = [...fleet.values()].filter(
    ({ id, labels }) => !known.has(id) && !busy.has(id) && selects(selector, id, labels),
  );
  return [
    ...progress,
    ...late.map(
      ({ id }): StoredProgress => ({ device: id, wave: last, state: "waiting", tries: 0, previous: undefined }),
    ),
  ];
}
