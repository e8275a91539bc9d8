import type { Rollout } from "@muster/shared";
import type { DeviceRecord } from "./devices.js";
import { attemptOf } from "./sighting.js";
import type { StoredProgress, StoredRollout } from "./store/rollout-store.js";

/** A rollout as the API shows it: what is stored, and how far each device says it is. */
export function rolloutView(
  rollout: StoredRollout,
  progress: readonly StoredProgress[],
  fleet: ReadonlyMap<string, DeviceRecord>,
): Rollout {
  const { id, model, version, selector, state, reason, createdMs, changedMs, settings, waves } = rollout;
  return {
    ...{ id, model, version, selector, state, createdMs, changedMs, settings },
    ...(reason === undefined ? {} : { reason }),
    waves: waves.map((wave, at) => ({
      ...wave,
      devices: progress
        .filter((member) => member.wave === at)
        .map(({ device, state: memberState, tries, error }) => {
          const candidate = fleet.get(device)?.reported?.models.find((entry) => entry.model === model)?.candidate;
          const mine = candidate?.attempt === attemptOf(id, tries) ? candidate : undefined;
          return {
            ...{ device, state: memberState, tries },
            ...(mine === undefined ? {} : { phase: mine.phase }),
            ...(mine?.doneBytes === undefined ? {} : { doneBytes: mine.doneBytes }),
            ...(mine?.totalBytes === undefined ? {} : { totalBytes: mine.totalBytes }),
            ...(error === undefined ? {} : { error }),
          };
        }),
    })),
  };
}
