import type { ReportedModel } from "@muster/shared";
import type { ModelState } from "./state.js";
import type { TransferProgress } from "./transfer.js";

/** What the hub is told of one model: its durable state, and how far a transfer is. */
export function reportModel(model: string, state: ModelState, progress: TransferProgress | undefined): ReportedModel {
  const { committed, candidate, finished } = state;
  const serving = candidate?.phase === "probation" ? candidate.version : committed?.version;
  const report: ReportedModel = { model, finished };
  if (serving !== undefined) report.serving = serving;
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
      ...(phase === "downloading" ? progress : {}),
    };
  }
  return report;
}
