import type { ReportedModel } from "@muster/shared";
import type { RunnerStatus } from "./runner/protocol.js";
import type { ModelState } from "./state.js";
import type { Progress } from "./watch.js";

/** What the hub is told of one model: its durable state, and how far a transfer is. */
export function reportModel(model: string, state: ModelState, progress: Progress | undefined): ReportedModel {
  const { committed, candidate, finished, trial } = state;
  const report: ReportedModel = { model, finished, ...(trial === undefined ? {} : { trial }) };
  if (committed !== undefined) {
    const { version, release, manifest, variant, provider, threads } = committed;
    report.committed = { version, release, manifest, variant, provider, threads };
  }
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

/** The report with the version that really serves now, as the runner says; none while it is down. */
export function withServing(report: ReportedModel, status: RunnerStatus | undefined): ReportedModel {
  const serving = status?.models.find(({ model, serving: yes }) => yes && model === report.model);
  return serving === undefined ? report : { ...report, serving: serving.version };
}
