import { parseSelector, selects } from "./core/fleet.js";
import type { DeviceRecord } from "./devices.js";
import type { StoredProgress, StoredRollout } from "./store/rollout-store.js";

/** Devices that were not offered the version yet and no longer match leave the rollout. */
export function stillMeant(
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
export function joinLate(
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
