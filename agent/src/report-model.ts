import type { BuiltEngine, ReportedModel } from "@muster/shared";
import { fallbackOf } from "./core/fallback.js";
import type { RunnerStatus } from "./runner/protocol.js";
import type { ModelState } from "./state.js";
import type { Progress } from "./watch.js";

/** What the hub is told of one model: its durable state, and how far a transfer is. */
export function reportModel(model: string, state: ModelState, progress: Progress | undefined): ReportedModel {
  const { committed, previous, candidate, finished, trial } = state;
  const report: ReportedModel = { model, finished, ...(trial === undefined ? {} : { trial }) };
  if (committed !== undefined) {
    const { version, release, manifest, variant, provider, threads } = committed;
    report.committed = { version, release, manifest, variant, provider, threads };
  }
  if (previous !== undefined) report.previous = { version: previous.version, manifest: previous.manifest };
  if (candidate !== undefined) {
    const { attempt, version, manifest, phase } = candidate;
    report.candidate = {
      attempt,
      version,
      manifest: manifest.sha256,
      phase,
      ...(phase === "downloading" || phase === "trial" ? progress : {}),
    };
  }
  return report;
}

/** The report with what really serves now and where, as the runner says; without it while that is down. */
export function withServing(
  report: ReportedModel,
  state: ModelState,
  status: Pick<RunnerStatus, "models"> | undefined,
): ReportedModel {
  const serving = status?.models.find(({ model, serving: yes }) => yes && model === report.model);
  const fallback = fallbackOf(state, serving);
  return {
    ...report,
    ...(serving === undefined ? {} : { serving: serving.version, running: serving.running }),
    ...(fallback === undefined ? {} : { fallback }),
  };
}

/** The report with what a provider built for the committed version, which the hub may ask for. */
export function withEngine(report: ReportedModel, engine: BuiltEngine | undefined): ReportedModel {
  return engine === undefined ? report : { ...report, engine };
}
