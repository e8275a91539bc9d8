import type { FeedState, SinkReport, SourceReport } from "@muster/shared";
import type { Style } from "./style.js";
import { type Cell, table } from "./table.js";

/** Where the inputs of a device come from and its answers go to, one per line; empty when it said of none. */
export function feedsText(sources: readonly SourceReport[], sinks: readonly SinkReport[], style: Style): string[] {
  const from = table<SourceReport>(
    [
      { title: "source", value: ({ type, target, model }) => `${type} ${target} → ${model}` },
      { title: "state", value: ({ state, reason }) => stateCell(state, style, reason) },
      { title: "taken", value: ({ taken }) => String(taken) },
      { title: "failed", value: ({ failed }) => lossCell(failed, style) },
      { title: "dropped", value: ({ dropped }) => String(dropped) },
      { title: "last error", value: ({ lastError }) => lastError ?? "" },
    ],
    sources,
    style,
  );
  const to = table<SinkReport>(
    [
      { title: "sink", value: ({ type, target }) => `${type} ${target}` },
      { title: "state", value: ({ state }) => stateCell(state, style) },
      { title: "written", value: ({ written }) => String(written) },
      { title: "waiting", value: ({ waiting }) => String(waiting) },
      { title: "failed", value: ({ failed }) => lossCell(failed, style) },
      { title: "dropped", value: ({ dropped }) => lossCell(dropped, style) },
      { title: "last error", value: ({ lastError }) => lastError ?? "" },
    ],
    sinks,
    style,
  );
  return [...(sources.length === 0 ? [] : [from]), ...(sinks.length === 0 ? [] : [to])];
}

function stateCell(state: FeedState, style: Style, reason?: string): Cell {
  const text = reason === undefined ? state : `${state}: ${reason}`;
  if (state === "failed") return { text, paint: style.bad };
  return state === "waiting" ? { text, paint: style.warn } : text;
}

function lossCell(count: number, style: Style): Cell {
  return count === 0 ? "0" : { text: String(count), paint: style.warn };
}
