import type { Log } from "@muster/shared";
import type { ModelState } from "./state.js";

/** Logs, and tells the hub, what a change of a model's state means: another phase, the end of an attempt. */
export async function tellChanges(
  model: string,
  before: ModelState,
  after: ModelState,
  { log, onEvent }: { log: Log; onEvent: (kind: string, fields: Record<string, unknown>) => Promise<void> },
): Promise<void> {
  const { candidate } = after;
  if (candidate !== undefined && candidate.phase !== before.candidate?.phase) {
    const { version, phase, attempt } = candidate;
    log.info("model.phase", { model, version, phase, attempt });
    await onEvent(`model.${phase}`, { model, version, attempt });
  }
  const ended = after.finished.at(-1);
  if (ended === undefined || ended === before.finished.at(-1)) return;
  const { version, attempt, outcome, error } = ended;
  log.info("model.ended", { model, ...ended });
  await onEvent(`model.${outcome}`, { model, version, attempt, ...error });
}
