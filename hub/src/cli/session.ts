import type { Command } from "@muster/shared/node";
import type { Answer } from "./answer.js";
import type { ApiClient } from "./api-client.js";
import { type CliConfig, connection } from "./config.js";
import type { Io } from "./io.js";
import { type Style, styleFor } from "./style.js";

/** One run of the command line: its global options, its hub, and where it prints. */
export class Session {
  readonly io: Io;
  readonly style: Style;
  readonly #root: Command;

  constructor(io: Io, root: Command) {
    this.io = io;
    this.style = styleFor(io.out, io.env);
    this.#root = root;
  }

  /** Whether stdout carries JSON and nothing else. */
  get json(): boolean {
    return this.#root.opts().json === true;
  }

  get nowMs(): number {
    return this.io.clock.now();
  }

  /** The hub the user means. Loaded late, so that help comes at once. */
  async api(): Promise<ApiClient> {
    const { hub, token, tokenFile, ca } = this.#root.opts<Partial<CliConfig>>();
    const flags = Object.fromEntries(Object.entries({ hub, token, tokenFile, ca }).filter(([, value]) => value));
    const { ApiClient } = await import("./api-client.js");
    return new ApiClient(await connection(this.io, flags));
  }

  /** Prints an answer: as it came with `--json`, else as `render` makes it. */
  show<T>(answer: Answer<T>, render: (value: T) => string): void {
    this.print(this.json ? JSON.stringify(answer.raw, undefined, 2) : render(answer.value));
  }

  /** Prints what may come again and again, with `--json` as one line each. */
  showNext(raw: unknown, render: () => string): void {
    this.print(this.json ? JSON.stringify(raw) : render());
  }

  /** A line on stdout. */
  print(text: string): void {
    this.io.out.write(`${text}\n`);
  }

  /** A line about the work itself, on stderr; nothing with `--json`. */
  note(text: string): void {
    if (!this.json) this.io.err.write(`${text}\n`);
  }
}
