import { DriftQuery, DriftReport, type DriftRow, parseWith } from "@muster/shared";
import type { Command } from "@muster/shared/node";
import { withExamples } from "../help.js";
import type { Session } from "../session.js";
import { table } from "../table.js";
import { ago } from "../time.js";

type FeatureRow = Omit<DriftRow, "features"> & DriftRow["features"][number];

/** `muster drift`: how far what devices see is from what the model was made for. */
export function driftCommand(root: Command, session: Session): void {
  const command = root
    .command("drift")
    .description("show per device and feature how far the inputs are from the model's baseline; drifting ones first")
    .option("--model <model>", "only this model")
    .option("--device <device>", "only this device")
    .option("--selector <selector>", "only devices with these labels, for example site=lyon,line!=3")
    .action(async (query: DriftQuery) => {
      parseWith(DriftQuery, query, "usage/invalid", "the command line");
      const api = await session.api();
      session.show(await api.get("/v1/drift", DriftReport, query), (report) => driftText(report, session));
    });
  withExamples(command, "muster drift", "muster drift --model defects --selector site=lyon");
}

function driftText({ rows }: DriftReport, { style, nowMs }: Session): string {
  const features = rows.flatMap(({ features: measured, ...row }) =>
    measured.map((one): FeatureRow => ({ ...row, ...one })),
  );
  if (features.length === 0)
    return "No drift is measured yet: no device has sent telemetry of a model with a baseline.";
  const loud = (row: FeatureRow, text: string) => (row.drifting ? { text, paint: style.bad } : text);
  return table(
    [
      { title: "device", value: (row) => loud(row, row.device) },
      { title: "model", value: ({ model, version }) => `${model} ${version}` },
      { title: "feature", value: (row) => loud(row, row.feature) },
      { title: "psi", value: (row) => loud(row, row.psi.toFixed(3)), right: true },
      { title: "threshold", value: ({ threshold }) => threshold?.toFixed(3) ?? "-", right: true },
      { title: "inputs", value: ({ inputs }) => String(inputs), right: true },
      { title: "state", value: (row) => loud(row, stateOf(row)) },
      { title: "since", value: ({ sinceMs }) => (sinceMs === undefined ? "-" : ago(sinceMs, nowMs)) },
    ],
    features.sort((a, b) => Number(b.drifting) - Number(a.drifting) || excess(b) - excess(a)),
    style,
  );
}

function stateOf({ drifting, threshold }: FeatureRow): string {
  if (drifting) return "drifting";
  return threshold === undefined ? "too few inputs" : "ok";
}

/** How near to its threshold a feature is; unknown ones come last. */
function excess({ psi, threshold }: FeatureRow): number {
  return threshold === undefined ? -1 : psi / threshold;
}
