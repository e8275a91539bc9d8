import { styleText } from "node:util";
import type { Io, Output } from "./io.js";

type Paint = (text: string) => string;

/** How words are marked; without colours every function returns its text as it is. */
export interface Style {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly good: Paint;
  readonly warn: Paint;
  readonly bad: Paint;
}

/** Colours for an output: only on a terminal, and not when `NO_COLOR` is set or the terminal is dumb. */
export function styleFor(output: Output, env: Io["env"]): Style {
  const colours = output.isTerminal && (env.NO_COLOR ?? "") === "" && env.TERM !== "dumb";
  // We have decided already, and for our own output; Node would look at its stdout.
  const paint = (format: Parameters<typeof styleText>[0]): Paint =>
    colours ? (text) => styleText(format, text, { validateStream: false }) : (text) => text;
  return {
    bold: paint("bold"),
    dim: paint("dim"),
    good: paint("green"),
    warn: paint("yellow"),
    bad: paint(["bold", "red"]),
  };
}
