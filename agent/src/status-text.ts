import { formatBytes, formatDuration, type RunnerUsage } from "@muster/shared";
import { isOverdue } from "./core/renewal-time.js";
import { sinkText, sourceText } from "./feed-text.js";
import type { AgentStatus } from "./status.js";

/** The status for a person: a line per fact. */
export function statusText(status: AgentStatus): string {
  const { device, version, pid, startedMs, hub, certificate, hardware, reported, runner } = status;
  const up = formatDuration(Date.now() - startedMs);
  const lines = [
    `device     ${device} (agent ${version}, pid ${pid}, up ${up})`,
    `hub        ${hub.url} ${hub.connected ? "connected" : "NOT CONNECTED"}`,
    `identity   ${certificateText(certificate, Date.now())}`,
    `machine    ${hardware.board}, ${hardware.cores} cores, ${formatBytes(hardware.memoryBytes)} memory, ${formatBytes(hardware.freeDiskBytes)} disk free`,
    `runner     ${reported.runner.state}, ${reported.runner.restarts} restarts${runner.url === undefined ? "" : `, ${runner.url}`}`,
    `load       ${usageText(runner.usage)}`,
    `spool      ${reported.spool.windows} windows, ${reported.spool.events} events wait; ${reported.spool.dropped} dropped`,
  ];
  if (reported.refusal !== undefined) lines.push(`REFUSED    ${reported.refusal}`);
  if (reported.models.length === 0) lines.push("models     none wanted yet");
  for (const { model, serving, committed, candidate, finished, fallback } of reported.models) {
    const where =
      committed === undefined
        ? ""
        : ` (committed ${committed.version} on ${committed.provider} × ${committed.threads})`;
    lines.push(`model      ${model}: ${serving === undefined ? "nothing serves" : `serves ${serving}`}${where}`);
    if (candidate !== undefined) {
      const share =
        candidate.totalBytes === undefined
          ? ""
          : ` ${formatBytes(candidate.doneBytes ?? 0)} of ${formatBytes(candidate.totalBytes)}`;
      const paused = candidate.paused === undefined ? "" : ` (paused: ${candidate.paused})`;
      const doing = candidate.doing === undefined ? "" : ` ${candidate.doing}`;
      lines.push(`             ${candidate.version}: ${candidate.phase}${doing}${share}${paused}`);
    }
    if (fallback !== undefined) lines.push(`             FELL BACK: ${fallback.detail}`);
    const last = finished.at(-1);
    if (last?.error !== undefined)
      lines.push(`             last: ${last.version} ${last.outcome}: ${last.error.code} ${last.error.detail}`);
  }
  lines.push(...runner.sources.map(sourceText), ...runner.sinks.map(sinkText));
  return lines.join("\n");
}

function certificateText(certificate: AgentStatus["certificate"], nowMs: number): string {
  if (certificate === undefined) return "NO CERTIFICATE CAN BE READ";
  const { serial, expiresMs } = certificate;
  if (expiresMs <= nowMs) return `certificate ${serial} HAS EXPIRED`;
  const overdue = isOverdue(certificate, nowMs) ? ", RENEWAL OVERDUE" : "";
  return `certificate ${serial}, valid for ${formatDuration(expiresMs - nowMs)}${overdue}`;
}

function usageText({ workers, maxWorkers, queued, maxQueued, rssBytes, capBytes }: RunnerUsage): string {
  const memory = `${formatBytes(rssBytes)}${capBytes === undefined ? "" : ` of ${formatBytes(capBytes)}`} memory`;
  return `${workers} of ${maxWorkers} engine threads, ${queued} of ${maxQueued} inputs wait, ${memory}`;
}
