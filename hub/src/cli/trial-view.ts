import { formatBytes, type TrialReport, type TriedCandidate } from "@muster/shared";
import type { Session } from "./session.js";
import { type Cell, table } from "./table.js";
import { ago } from "./time.js";

type Way = Partial<Omit<TriedCandidate, "variant">> & { readonly variant: string; readonly verdict: Cell };

/** How the latest trial of a model went: every way that was tried, its figures or why it was not taken. */
export function trialText(trial: TrialReport, style: Session["style"], nowMs: number): string {
  return table<Way>(
    [
      { title: `trial of ${trial.version}`, value: ({ variant }) => variant },
      { title: "provider", value: ({ provider = "" }) => provider },
      { title: "threads", value: ({ threads }) => threads?.toString() ?? "" },
      { title: "p50 ms", value: ({ p50Ms }) => p50Ms?.toFixed(2) ?? "" },
      { title: "p95 ms", value: ({ p95Ms }) => p95Ms?.toFixed(2) ?? "" },
      { title: "memory", value: ({ rssBytes }) => (rssBytes === undefined ? "" : formatBytes(rssBytes)) },
      { title: "verdict", value: ({ verdict }) => verdict },
    ],
    waysOf(trial, style, nowMs),
    style,
  );
}

function waysOf(
  { tried, skipped, atMs, remembered, chosen }: TrialReport,
  style: Session["style"],
  nowMs: number,
): Way[] {
  const how = remembered ? ", by the figures of an earlier trial" : "";
  const verdictOf = ({ variant, provider, threads, rejected }: TriedCandidate): Cell => {
    if (rejected !== undefined) return { text: `${rejected.code} ${rejected.detail}`, paint: style.warn };
    const taken = variant === chosen?.variant && provider === chosen.provider && threads === chosen.threads;
    return taken ? { text: `chosen ${ago(atMs, nowMs)}${how}`, paint: style.good } : "correct";
  };
  return [
    ...tried.map((way) => ({ ...way, verdict: verdictOf(way) })),
    ...skipped.map(({ what, reason }) => ({ variant: what, verdict: `not fetched: ${reason}` })),
  ];
}
