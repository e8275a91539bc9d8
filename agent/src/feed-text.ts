import type { SinkReport, SourceReport } from "@muster/shared";

/** A source for a person, in a line. */
export function sourceText(source: SourceReport): string {
  const { type, target, model, state, reason, taken, failed, dropped, lastError } = source;
  const why = reason === undefined ? "" : ` (${reason})`;
  const counts = `${taken} taken, ${failed} failed, ${dropped} dropped`;
  return `source     ${type} ${target} → ${model}: ${stateText(state)}${why}; ${counts}${errorText(lastError)}`;
}

/** A sink for a person, in a line. */
export function sinkText({ type, target, state, waiting, written, failed, dropped, lastError }: SinkReport): string {
  const counts = `${written} written, ${waiting} wait, ${failed} failed, ${dropped} dropped`;
  return `sink       ${type} ${target}: ${stateText(state)}; ${counts}${errorText(lastError)}`;
}

function stateText(state: SourceReport["state"]): string {
  return state === "failed" ? "FAILED, trying again" : state;
}

function errorText(lastError: string | undefined): string {
  return lastError === undefined ? "" : `; last error: ${lastError}`;
}
