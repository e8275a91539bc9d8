import type { DeviceError, DeviceErrorCode } from "@muster/shared";
import type { RunnerEnding, RunnerFault } from "../ports.js";
import type { Installed, ModelState } from "../state.js";

/** Whom the end of a runner speaks against. */
export interface Blamed {
  readonly model: string;
  readonly version: "candidate" | "committed";
  /** Nobody else can have been it. */
  readonly alone: boolean;
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
 * knows, all that were in service. Memory is taken by whoever came last: there candidates are blamed, and without any the
 * version that was committed last of those at work, or of all; that is a guess where there was more than one.
 */
export function blamed(
  { fault, suspects }: Pick<RunnerEnding, "fault" | "suspects">,
  models: Readonly<Record<string, ModelState>>,
): Blamed[] {
  const inService = Object.entries(models).flatMap(([model, { candidate, committed, finished }]): InService[] => {
    // One that is being activated may not even be loaded: only its own work speaks against it.
    const loaded = candidate?.phase === "proven" && suspects.includes(candidate.manifest.sha256);
    const ran = loaded || candidate?.phase === "shadow" || candidate?.phase === "probation";
    return [
      ...(ran ? [{ model, version: "candidate" as const, manifest: candidate.manifest.sha256, sinceMs: 0 }] : []),
      ...(committed === undefined
        ? []
        : [
            {
              model,
              version: "committed" as const,
              manifest: committed.manifest,
              sinceMs: sinceOf(committed, finished),
            },
          ]),
    ];
  });
  const candidates = inService.filter(({ version }) => version === "candidate");
  const atWork = inService.filter(({ manifest }) => suspects.includes(manifest));
  if (fault === "memory") {
    if (candidates.length > 0) return named(candidates);
    const among = atWork.length > 0 ? atWork : inService;
    const last = [...among].sort((a, b) => b.sinceMs - a.sinceMs).slice(0, 1);
    return named(last, among.length === 1);
  }
  if (atWork.length > 0) return named(atWork);
  // A committed version behind a candidate does not serve.
  const behind = new Set(
    candidates.map(({ model }) => model).filter((model) => models[model]?.candidate?.phase !== "shadow"),
  );
  return inService
    .filter(({ model, version }) => version === "candidate" || !behind.has(model))
    .map(({ model, version }) => ({ model, version, alone: false }));
}

interface InService extends Omit<Blamed, "alone"> {
  readonly manifest: string;
  /** When it was committed, epoch ms; 0 for a candidate. */
  readonly sinceMs: number;
}

function sinceOf({ attempt }: Installed, finished: ModelState["finished"]): number {
  return finished.findLast((end) => end.attempt === attempt && end.outcome === "committed")?.atMs ?? 0;
}

function named(suspects: readonly InService[], alone = suspects.length === 1): Blamed[] {
  return suspects.map(({ model, version }) => ({ model, version, alone }));
}
