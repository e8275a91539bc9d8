import { formatBytes, HubStatus } from "@muster/shared";
import type { Command } from "@muster/shared/node";
import { withExamples } from "../help.js";
import type { Session } from "../session.js";
import { fields } from "../table.js";
import { ago } from "../time.js";

/** `muster status`: how the hub is doing. */
export function statusCommand(root: Command, session: Session): void {
  const command = root
    .command("status")
    .description("show how the hub is doing: devices, models, rollouts, and what it refused since it started")
    .action(async () => {
      const api = await session.api();
      session.show(await api.get("/v1/status", HubStatus), (status) => statusText(status, session));
    });
  withExamples(
    command,
    "muster status",
    "muster status --token-file muster-data/admin.token",
    "muster status --json --hub https://hub.example:7400 --ca muster-data/identity/ca.crt.pem",
  );
}

function statusText(status: HubStatus, { style, nowMs }: Session): string {
  const { devices, counters } = status;
  const online = { text: `${devices.online} of ${devices.total} online`, paint: style.good };
  const refused = Object.entries(counters).filter(([, count]) => count > 0);
  const text = fields(
    [
      ["hub", `Muster ${status.version}, started ${ago(status.startedMs, nowMs)}`],
      ["devices", devices.online === devices.total ? online : { ...online, paint: style.warn }],
      ["models", String(status.models)],
      ["active rollouts", String(status.activeRollouts)],
      ["storage", storageText(status)],
      ["mqtt", status.mqttUrl],
      ["enrolment", status.enrolmentUrl],
    ],
    style,
  );
  if (refused.length === 0) return text;
  const counts = fields(
    refused.map(([name, count]) => [name, { text: String(count), paint: style.warn }] as const),
    style,
  );
  return `${text}\n\nrefused or thrown away since the start:\n${counts}`;
}

function storageText({ storage: { artifacts, unknown, uploads } }: HubStatus): string {
  const { blobs, bytes } = unknown;
  const foreign =
    blobs === 0 ? "" : `, ${formatBytes(bytes)} of them in ${blobs} files that the database does not know`;
  const unused = uploads.blobs === 0 ? "" : `, ${formatBytes(uploads.bytes)} of uploads not used yet`;
  return `${formatBytes(artifacts.bytes)} of artifacts${foreign}${unused}`;
}
