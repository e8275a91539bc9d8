import type { Reported } from "@muster/shared";
import type { Sighting } from "./core/rollout.js";
import type { DeviceRecord } from "./devices.js";
import type { StoredProgress, StoredRollout } from "./store/rollout-store.js";

/** Names one try of a rollout on a device. */
export function attemptOf(rollout: string, tries: number): string {
  return `${rollout}.${tries}`;
}

/** Names the way back from a rollout. */
export function backAttempt(rollout: string): string {
  return `${rollout}.back`;
}

/** All of a report that a rollout looks at, to be compared: how far a transfer is, for one, moves no rollout. */
export function sightOf({ models }: Pick<Reported, "models">): string {
  return JSON.stringify(
    models.map(({ model, committed, candidate, finished }) => [
      ...[model, committed?.manifest, candidate?.attempt],
      ...finished.map(({ attempt, outcome }) => `${attempt} ${outcome}`),
    ]),
  );
}

/** Says of any device what its own report tells of its present attempt in a rollout. */
export function sightings(
  rollout: StoredRollout,
  members: readonly StoredProgress[],
): (device: DeviceRecord | undefined) => Sighting {
  const byDevice = new Map(members.map((member) => [member.device, member]));
  return (device) => sighting(rollout, device === undefined ? undefined : byDevice.get(device.id), device);
}

function sighting(
  rollout: StoredRollout,
  member: StoredProgress | undefined,
  device: DeviceRecord | undefined,
): Sighting {
  if (device === undefined || member === undefined) return { online: false, attempt: "unseen", restored: true };
  const model = device.reported?.models.find((candidate) => candidate.model === rollout.model);
  const attempt = attemptOf(rollout.id, member.tries);
  const wentBack = model?.finished.some((finished) => finished.attempt === backAttempt(rollout.id)) ?? false;
  const asBefore = model?.committed?.manifest === member.previous?.manifest.sha256;
  // A way back that failed has ended too; the device says so, and waiting on would not change it.
  const restored = model?.candidate === undefined && (asBefore || wentBack);
  const last = model?.finished.filter((finished) => finished.attempt === attempt).at(-1);
  const fellBack = model?.fallback?.attempt === attempt ? model.fallback.detail : undefined;
  const seen = { online: device.online, restored, fellBack };
  if (model?.candidate?.attempt === attempt) return { ...seen, attempt: "started" };
  if (last === undefined) return { ...seen, attempt: "unseen" };
  if (last.outcome === "committed") return { ...seen, attempt: "committed" };
  return { ...seen, attempt: "failed", error: last.error ?? { code: "E_INTERNAL", detail: last.outcome } };
}
