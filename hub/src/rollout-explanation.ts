import { type ExplainQuery, MusterError, type RolloutExplanation } from "@muster/shared";
import { explain } from "./core/explain.js";
import type { DeviceFacts } from "./core/explain-device.js";
import type { DeviceRecord } from "./devices.js";
import { attemptOf, sightings } from "./sighting.js";
import type { StoredProgress, StoredRollout } from "./store/rollout-store.js";

/**
 * Why a rollout is where it is, from what is stored and what its devices last said. Throws `rollout/unknown` for a device
 * that it does not reach.
 */
export function explainRollout(
  rollout: StoredRollout,
  progress: readonly StoredProgress[],
  fleet: ReadonlyMap<string, DeviceRecord>,
  query: ExplainQuery,
  nowMs: number,
): RolloutExplanation {
  const { id, model, version } = rollout;
  if (query.device !== undefined && !progress.some(({ device }) => device === query.device)) {
    throw new MusterError(
      "rollout/unknown",
      `rollout ${id} does not reach device ${query.device}; see: muster rollout show ${id}`,
    );
  }
  const tries = new Map(progress.map((member) => [member.device, member.tries]));
  const seen = sightings(rollout, progress);
  const facts = (device: string): DeviceFacts => {
    const record = fleet.get(device);
    const said = record?.reported?.models.find((one) => one.model === model);
    const { candidate, trial } = said ?? {};
    const refusal = record?.reported?.refusal;
    return {
      sighting: seen(record),
      ...(record === undefined ? {} : { lastSeenMs: record.lastSeenMs }),
      ...(candidate?.attempt === attemptOf(id, tries.get(device) ?? 0) ? { candidate } : {}),
      ...(trial?.attempt.startsWith(`${id}.`) ? { trial } : {}),
      ...(refusal === undefined ? {} : { refusal }),
    };
  };
  return { id, model, version, ...explain(rollout, progress, facts, query, nowMs) };
}
