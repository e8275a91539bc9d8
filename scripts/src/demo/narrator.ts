import { styleText } from "node:util";
import { formatDuration } from "@muster/shared";

/** A step of the demo was not as it should be. */
export class DemoFailure extends Error {}

/** Tells the story on the terminal and keeps count of what was checked. */
export class Narrator {
  readonly #startedMs = Date.now();
  readonly #colours = process.stdout.isTTY && process.env.NO_COLOR === undefined;
  #checks = 0;
  #steps = 0;

  get checks(): number {
    return this.#checks;
  }

  step(title: string): void {
    this.#steps += 1;
    const at = formatDuration(Date.now() - this.#startedMs);
    this.#print(`\n${this.#paint("bold", `${this.#steps}. ${title}`)} ${this.#paint("dim", `(${at})`)}`);
  }

  say(text: string): void {
    this.#print(`   ${text}`);
  }

  /** Shows a command and what it printed. */
  show(command: string, output: string): void {
    this.#print(`   ${this.#paint("cyan", `$ ${command}`)}`);
    for (const line of output.trimEnd().split("\n")) this.#print(`     ${line}`);
  }

  /** Checks one thing and says what was seen. Throws {@link DemoFailure} when it is not so. */
  check(what: string, holds: boolean, seen = ""): void {
    const detail = seen === "" ? "" : this.#paint("dim", ` ${seen}`);
    if (!holds) throw new DemoFailure(`not so: ${what} ${seen}`);
    this.#checks += 1;
    this.#print(`   ${this.#paint("green", "✓")} ${what}${detail}`);
  }

  #print(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  #paint(style: "bold" | "dim" | "cyan" | "green", text: string): string {
    return this.#colours ? styleText(style, text) : text;
  }
}
