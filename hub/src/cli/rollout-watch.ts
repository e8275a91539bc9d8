import { MusterError, Rollout } from "@muster/shared";
import { ExitWith, exitCodes } from "@muster/shared/node";
import type { ApiClient } from "./api-client.js";
import { Patience } from "./patience.js";
import { ProgressBar } from "./progress.js";
import { changesBetween } from "./rollout-changes.js";
import { countOf, devicesOf, hasEnded, hasFailed, progressText } from "./rollout-progress.js";
import { route } from "./route.js";
import type { Session } from "./session.js";

const pollMs = 1000;

/**
 * Follows a rollout until it ends, a paused one too. Resolves when it completed; otherwise throws
 * {@link ExitWith}: 3 when it did not pass, 4 when the time is over first, 130 on Ctrl-C.
 */
export async function watchRollout(api: ApiClient, id: string, session: Session, timeoutMs?: number): Promise<void> {
  const { io } = session;
  const signal = io.interrupted();
  const untilMs = timeoutMs === undefined ? Number.POSITIVE_INFINITY : io.clock.now() + timeoutMs;
  const view = new WatchView(session);
  const patience = new Patience(session, (text) => view.note(text), untilMs);
  try {
    for (;;) {
      const ask = () => api.get(route`/v1/rollouts/${id}`, Rollout, {}, signal);
      const { value: rollout, raw } = await patience.ask(ask, signal);
      view.update(rollout, raw);
      if (hasEnded(rollout)) return conclude(rollout, view);
      const leftMs = untilMs - io.clock.now();
      if (leftMs <= 0) throw timedOut(rollout, io.clock.now());
      await io.clock.sleep(Math.min(pollMs, leftMs), signal);
    }
  } catch (error) {
    const late = io.clock.now() >= untilMs && error instanceof MusterError && error.code === "hub/unreachable";
    if (late) throw new ExitWith(exitCodes.timedOut, `the time is over; ${error.message}`);
    if (!signal.aborted) throw error;
    throw new ExitWith(130, `The rollout goes on. Watch it again: muster rollout watch ${id}`);
  } finally {
    view.end();
  }
}

function conclude(rollout: Rollout, view: WatchView): void {
  const devices = `${countOf(rollout, "committed")} of ${devicesOf(rollout).length} devices committed`;
  const reason = rollout.reason === undefined ? "" : `: ${rollout.reason}`;
  const text = `rollout ${rollout.id} is ${rollout.state}, ${devices}${reason}`;
  if (hasFailed(rollout)) throw new ExitWith(exitCodes.gateFailed, text);
  view.note(text);
}

/** A rollout that is already being taken back has failed, whatever the clock says. */
function timedOut(rollout: Rollout, nowMs: number): ExitWith {
  const text = `the time is over, the rollout goes on: ${progressText(rollout, nowMs)}`;
  return new ExitWith(hasFailed(rollout) ? exitCodes.gateFailed : exitCodes.timedOut, text);
}

/** Shows a rollout as it moves: a bar on a terminal, lines of changes elsewhere, JSON lines with `--json`. */
class WatchView {
  readonly #session: Session;
  readonly #bar: ProgressBar;
  #last: { rollout: Rollout; json: string } | undefined;

  constructor(session: Session) {
    this.#session = session;
    this.#bar = new ProgressBar(session.io.err, session.io.clock);
  }

  update(rollout: Rollout, raw: unknown): void {
    const { io, json: asJson } = this.#session;
    const json = JSON.stringify(raw);
    const hasBar = !asJson && io.err.isTerminal;
    if (json !== this.#last?.json) {
      const changes = changesBetween(this.#last?.rollout, rollout);
      const lines = changes.filter(({ important }) => important || !hasBar || !io.out.isTerminal);
      if (asJson) this.#session.print(json);
      else if (lines.length > 0) {
        this.#bar.clear();
        for (const { text } of lines) this.#session.print(text);
      }
    }
    this.#last = { rollout, json };
    const total = devicesOf(rollout).length;
    const share = total === 0 ? 1 : countOf(rollout, "committed") / total;
    if (hasBar) this.#bar.draw(share, progressText(rollout, io.clock.now()));
  }

  /** A line about the watching itself. */
  note(text: string): void {
    this.#bar.clear();
    this.#session.note(text);
  }

  end(): void {
    this.#bar.clear();
  }
}
