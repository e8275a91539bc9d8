import type { Clock } from "@muster/shared";
import type { Output } from "./io.js";

const barCells = 24;
const redrawMs = 100;

/** A bar in the last line of a terminal. On anything else it draws nothing. */
export class ProgressBar {
  readonly #output: Output;
  readonly #clock: Clock;
  #drawnMs = Number.NEGATIVE_INFINITY;
  #visible = false;

  constructor(output: Output, clock: Clock) {
    this.#output = output;
    this.#clock = clock;
  }

  /** Draws the bar, at most ten times a second; `share` is 0..1. */
  draw(share: number, text: string): void {
    const nowMs = this.#clock.now();
    if (!this.#output.isTerminal || (this.#visible && nowMs - this.#drawnMs < redrawMs)) return;
    this.#drawnMs = nowMs;
    this.#visible = true;
    const line = [...`${bar(share)} ${text}`].slice(0, Math.max(20, this.#output.columns - 1)).join("");
    this.#output.write(`\r\u001b[2K${line}`);
  }

  /** Removes the bar, so that other lines can be written; the next `draw` brings it back at once. */
  clear(): void {
    if (this.#visible) this.#output.write("\r\u001b[2K");
    this.#visible = false;
  }
}

/** Says for every quarter that is done that it is done: progress for outputs without a bar. */
export class QuarterLines {
  readonly #output: Output;
  #quarter = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  /** `share` is 0..1. */
  report(share: number, text: string): void {
    const quarter = Math.floor(share * 4 + 1e-9);
    if (quarter <= this.#quarter) return;
    this.#quarter = quarter;
    this.#output.write(`${quarter * 25} %: ${text}\n`);
  }
}

function bar(share: number): string {
  const bounded = Math.min(1, Math.max(0, share));
  const full = Math.round(bounded * barCells);
  return `${"█".repeat(full)}${"░".repeat(barCells - full)} ${String(Math.floor(bounded * 100)).padStart(3)} %`;
}
