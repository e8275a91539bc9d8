import type { Clock, DeviceErrorCode, Log, TriedCandidate } from "@muster/shared";
import { keepsEngines } from "./core/provider-plan.js";
import { emptyEngineFolder, isTaken } from "./engine-cache.js";
import type { RunTrial } from "./ports.js";
import type { TrialRequest, TrialResult } from "./runner/protocol.js";

export interface TrialEnginesDeps {
  readonly trial: RunTrial;
  readonly tell: (kind: string, fields: Record<string, unknown>) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/** What may be the engine's doing; being slow, or taking too much memory, is the model's. */
const doubtful: readonly DeviceErrorCode[] = ["E_PROVIDER", "E_CRASH", "E_SELFTEST", "E_TIMEOUT"];

/**
 * A trial that throws away an engine which was built elsewhere when its provider fails with it, and then goes again, once,
 * with one built here, in what is left of its time. What passed the first time stays passed when that time is too short.
 */
export function trialWithEngines({ trial, tell, clock, log }: TrialEnginesDeps): RunTrial {
  return async (request, options) => {
    const beganMs = clock.steady();
    const result = await trial(request, options);
    if (options.signal.aborted) return result;
    const spoilt = await spoiltBy(request, result);
    if (spoilt.length === 0) return result;
    for (const { cacheDir, artifact, reason } of spoilt) {
      await emptyEngineFolder(cacheDir);
      const { model, version } = request.manifest;
      const fields = { model, version, artifact, reason };
      log.warn("engine.refused", fields);
      await tell("engine.refused", fields);
    }
    const timeoutMs = Math.max(1, options.timeoutMs - (clock.steady() - beganMs));
    const again = await trial(request, { ...options, timeoutMs });
    if (options.signal.aborted || again.kind === "passed" || result.kind === "failed") return again;
    // What failed with an engine that is gone is not to be remembered of the model.
    const gone = (one: TriedCandidate) => spoilt.some(({ failed }) => failed === one);
    const newer = (one: TriedCandidate) => again.tried.find((other) => isSame(one, other)) ?? one;
    return { ...result, tried: result.tried.map((one) => (gone(one) ? newer(one) : one)) };
  };
}

/** The engines that were built elsewhere and with which a provider failed. */
async function spoiltBy({ variants }: TrialRequest, { tried }: TrialResult) {
  const spoilt: { cacheDir: string; artifact: string; reason: string; failed: TriedCandidate }[] = [];
  for (const { name, artifact, cacheDir } of variants) {
    const failed = tried.find(
      ({ variant, provider, rejected }) =>
        variant === name && keepsEngines(provider) && rejected !== undefined && doubtful.includes(rejected.code),
    );
    if (failed?.rejected === undefined || cacheDir === undefined || !(await isTaken(cacheDir))) continue;
    spoilt.push({ cacheDir, artifact, failed, reason: `${failed.provider} fails with it: ${failed.rejected.detail}` });
  }
  return spoilt;
}

function isSame(a: TriedCandidate, b: TriedCandidate): boolean {
  return a.variant === b.variant && a.provider === b.provider && a.threads === b.threads;
}
