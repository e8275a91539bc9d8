import type { Rollout } from "@muster/shared";

/** A thing that changed between two looks at a rollout. */
export interface Change {
  readonly text: string;
  /** Worth a line even where a bar shows the rest: the rollout, a wave, a failure. */
  readonly important: boolean;
}

/** What changed since the last look, from the whole to the single device; everything that is not initial at the first. */
export function changesBetween(before: Rollout | undefined, after: Rollout): Change[] {
  const whole = before?.state === after.state && before.reason === after.reason ? [] : [rolloutChange(after)];
  const waves = after.waves.flatMap(({ state }, at): Change[] => {
    const known = before?.waves[at]?.state ?? "pending";
    return known === state ? [] : [{ text: `wave ${at + 1} of ${after.waves.length}: ${state}`, important: true }];
  });
  return [...whole, ...waves, ...deviceChanges(before, after)];
}

function rolloutChange({ id, state, reason }: Rollout): Change {
  return { text: `rollout ${id}: ${state}${reason === undefined ? "" : `, ${reason}`}`, important: true };
}

function deviceChanges(before: Rollout | undefined, after: Rollout): Change[] {
  const known = new Map(before?.waves.flatMap(({ devices }) => devices.map((one) => [one.device, statusOf(one)])));
  return after.waves.flatMap(({ devices }) =>
    devices
      .filter((one) => statusOf(one) !== (known.get(one.device) ?? "waiting"))
      .map((one) => ({ text: `${one.device}: ${statusOf(one)}`, important: one.state === "failed" })),
  );
}

function statusOf({ state, phase, tries, error }: Rollout["waves"][number]["devices"][number]): string {
  const step = state === "started" && phase !== undefined ? `, ${phase}` : "";
  const again = tries > 0 && (state === "offered" || state === "started") ? ` (try ${tries + 1})` : "";
  const why = error === undefined || state === "committed" ? "" : `, ${error.code} ${error.detail}`;
  return `${state}${step}${again}${why}`;
}
