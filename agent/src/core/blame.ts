import type { DeviceError, DeviceErrorCode } from "@muster/shared";
import type { RunnerEnding, RunnerFault } from "../ports.js";
import type { ModelState } from "../state.js";

/** Whom the end of a runner speaks against. */
export interface Blamed {
  readonly model: string;
  readonly version: "candidate" | "committed";
}

const codes: Readonly<Record<RunnerFault, DeviceErrorCode>> = {
  crash: "E_CRASH",
  hang: "E_TIMEOUT",
  memory: "E_MEMORY",
};

/** The end of a runner as it is told of a version. */
export function faultOf({ fault, detail }: Pick<RunnerEnding, "fault" | "detail">): DeviceError {
  return { code: codes[fault], detail };
}

/**
 * The versions that a runner's end speaks against: those an engine was at work on, be it to load them, and when nobody
 * knows, all that were in service. Memory is taken by whoever came last, so there a candidate is blamed before any committed version.
 */
export function blamed(
  { fault, suspects }: Pick<RunnerEnding, "fault" | "suspects">,
  models: Readonly<Record<string, ModelState>>,
): Blamed[] {
  const inService = Object.entries(models).flatMap(([model, { candidate, committed }]): (Blamed & Named)[] => {
    // One that is being activated may not even be loaded: only its own work speaks against it.
    const loaded = candidate?.phase === "proven" && suspects.includes(candidate.manifest.sha256);
    const ran = loaded || candidate?.phase === "shadow" || candidate?.phase === "probation";
    return [
      ...(ran ? [{ model, version: "candidate" as const, manifest: candidate.manifest.sha256 }] : []),
      ...(committed === undefined ? [] : [{ model, version: "committed" as const, manifest: committed.manifest }]),
    ];
  });
  const candidates = inService.filter(({ version }) => version === "candidate");
  if (fault === "memory" && candidates.length > 0) return candidates.map(plain);
  const atWork = inService.filter(({ manifest }) => suspects.includes(manifest));
  if (atWork.length > 0) return atWork.map(plain);
  // A committed version behind a candidate does not serve.
  const behind = new Set(
    candidates.map(({ model }) => model).filter((model) => models[model]?.candidate?.phase !== "shadow"),
  );
  return inService.filter(({ model, version }) => version === "candidate" || !behind.has(model)).map(plain);
}

interface Named {
  readonly manifest: string;
}

function plain({ model, version }: Blamed & Named): Blamed {
  return { model, version };
}
