/** What is looked at to decide how many lanes are worth it. */
export interface LaneLook {
  readonly nowMs: number;
  /** Bytes of transfers that have still to come. */
  readonly leftBytes: number;
  /** Lanes that are open. */
  readonly open: number;
}

/** A rate is measured over at least so many frames, and so long; when nothing has come for too long, anew. */
const measured = { frames: 3, ms: 500, gapMs: 30_000 };
/** A transfer that will be over in this time is not worth another try. */
const worthMs = 8000;
const shortMs = 2000;
/** More lanes are kept when they bring so much more; fewer, when they bring nearly as much. */
const kept = { more: 1.25, fewer: 0.9 };
/** So often a rate is measured that says no to more lanes, or yes to fewer: what is still on its way blurs the first ones. */
const looks = 3;
/** So long the first connection of a transfer has to get up to speed. */
const riseMs = 1500;
/** New connections begin slowly: at least so long nothing is measured. */
const settleMs = 300;
/** Lanes that are not open after so long will not be. */
const openTimeoutMs = 10_000;
/** Another number is tried after so long; each time in vain doubles it. */
const pauseMs = { first: 60_000, longest: 16 * 60_000 };
/** In this part of the pause more lanes are tried again if the rate has fallen. */
const fellPart = 1 / 12;

interface Trial {
  readonly from: number;
  /** Bytes per millisecond before. */
  readonly before: number;
  readonly beganMs: number;
  /** From when on its rate is measured; undefined while lanes are not open. */
  settledMs: number | undefined;
  /** Rates that were measured. */
  seen: number;
}

/**
 * How many lanes a device should have. It begins with none, tries a few, then the most, and keeps what brings more: a
 * connection on a link that loses packets carries only what TCP dares to send, and several carry as often more, while a link
 * that one connection fills has nothing to gain. From time to time the next number up or down is tried again.
 */
export class LaneClimb {
  /** Numbers of lanes, rising from 0. */
  readonly #levels: readonly number[];
  #level = 0;
  #trial: Trial | undefined;
  #upNext = true;
  #nextMs = Number.NEGATIVE_INFINITY;
  #pauseMs = pauseMs.first;
  /** The rate that more lanes had when they were given up, and from when on it is worth another look. */
  #givenUp: { readonly rate: number; readonly sinceMs: number } | undefined;
  #rate: number | undefined;
  /** When the first chunk of the transfers under way came, and the last. */
  #firstMs: number | undefined;
  #lastMs = 0;
  #span: { readonly fromMs: number; frames: number; bytes: number } | undefined;

  /** `most` lanes; with 0, never one. */
  constructor(most: number) {
    this.#levels = [...new Set([0, Math.min(4, most), most])];
  }

  /** A chunk has come. */
  arrived(bytes: number, nowMs: number): void {
    this.#firstMs ??= nowMs;
    if (this.#trial !== undefined && nowMs < (this.#trial.settledMs ?? Number.POSITIVE_INFINITY)) return;
    if (nowMs - this.#lastMs > measured.gapMs) this.#span = undefined;
    this.#lastMs = nowMs;
    // From one arrival to another: when the first of them was sent is not known.
    this.#span ??= { fromMs: nowMs, frames: -1, bytes: -bytes };
    this.#span.frames += 1;
    this.#span.bytes += bytes;
    const tookMs = nowMs - this.#span.fromMs;
    if (this.#span.frames < measured.frames || tookMs < measured.ms) return;
    this.#rate = this.#span.bytes / tookMs;
    this.#span = { fromMs: nowMs, frames: 0, bytes: 0 };
  }

  /** How many lanes there should be now. Look several times a second while there are transfers. */
  look(look: LaneLook): number {
    if (this.#trial !== undefined) this.#judge(this.#trial, look);
    else this.#try(look);
    // What will be over before lanes have come up to speed needs none.
    const short = look.open === 0 && this.#trial === undefined && look.leftBytes < shortMs * (this.#rate ?? 0);
    return short ? 0 : (this.#levels[this.#level] ?? 0);
  }

  /** A transfer begins after none: the time between does not count. */
  begin(): void {
    this.#firstMs = undefined;
    this.#span = undefined;
  }

  /** The link may be another one now. */
  reset(): void {
    this.#level = 0;
    this.#trial = undefined;
    this.#upNext = true;
    this.#nextMs = Number.NEGATIVE_INFINITY;
    this.#pauseMs = pauseMs.first;
    this.#givenUp = undefined;
    this.#firstMs = undefined;
    this.#forget();
  }

  #try({ nowMs, leftBytes }: LaneLook): void {
    const before = this.#rate;
    // A connection that still gets up to speed would make more lanes seem to be the reason.
    const rises = nowMs - (this.#firstMs ?? nowMs) < riseMs;
    if (before === undefined || rises || leftBytes / before < worthMs) return;
    // A connection may begin fast and be slow from its first lost packet on.
    const { rate = 0, sinceMs = 0 } = this.#givenUp ?? {};
    const fell = rate >= before * kept.more && nowMs >= sinceMs;
    if (nowMs < this.#nextMs && !fell) return;
    const step = this.#upNext || fell ? 1 : -1;
    const next = this.#levels[this.#level + step] === undefined ? this.#level - step : this.#level + step;
    if (this.#levels[next] === undefined) return;
    this.#trial = { from: this.#level, before, beganMs: nowMs, settledMs: undefined, seen: 0 };
    this.#level = next;
    this.#forget();
  }

  #judge(trial: Trial, { nowMs, open }: LaneLook): void {
    const wanted = this.#levels[this.#level] ?? 0;
    const late = nowMs - trial.beganMs > openTimeoutMs;
    if (trial.settledMs === undefined) {
      if (open < wanted && !late) return;
      // What it took to connect is some round trips, and so is what it takes to get up to speed.
      trial.settledMs = nowMs + Math.max(settleMs, Math.min(nowMs - trial.beganMs, openTimeoutMs / 4));
    }
    const up = this.#level > trial.from;
    const vain = up && open === 0 && late;
    if (this.#rate === undefined && !vain) return;
    const good = !vain && (this.#rate ?? 0) >= trial.before * (up ? kept.more : kept.fewer);
    trial.seen += 1;
    if (good !== up && !vain && trial.seen < looks) {
      this.#forget();
      return;
    }
    this.#end(nowMs, good ? this.#level : trial.from);
  }

  /** Stays at a level: after a gain it goes on in the same direction at once, else in the other one after a pause. */
  #end(nowMs: number, level: number): void {
    const { from = level } = this.#trial ?? {};
    const gained = level !== from;
    const up = gained ? level > from : this.#level > from;
    this.#givenUp = up && !gained ? { rate: this.#rate ?? 0, sinceMs: nowMs + this.#pauseMs * fellPart } : undefined;
    this.#trial = undefined;
    this.#level = level;
    if (!gained) this.#forget();
    const goesOn = gained && this.#levels[level + (up ? 1 : -1)] !== undefined;
    this.#upNext = goesOn ? up : !up;
    this.#nextMs = goesOn ? nowMs : nowMs + this.#pauseMs;
    this.#pauseMs = gained ? pauseMs.first : Math.min(2 * this.#pauseMs, pauseMs.longest);
  }

  #forget(): void {
    this.#rate = undefined;
    this.#span = undefined;
  }
}
