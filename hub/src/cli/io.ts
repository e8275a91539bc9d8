import type { Clock } from "@muster/shared";

/** Where text goes: a stream of the process, or a list in a test. */
export interface Output {
  write(text: string): void;
  /** Whether a person is looking at it; only then there are colours and bars. */
  readonly isTerminal: boolean;
  /** Characters per line. */
  readonly columns: number;
}

/** All the CLI knows of the machine it runs on. */
export interface Io {
  readonly out: Output;
  readonly err: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The home folder, where the configuration is looked for. */
  readonly home: string;
  readonly clock: Clock;
  /** Aborted by Ctrl-C. From the first call on, Ctrl-C no longer ends the program by itself. */
  interrupted(): AbortSignal;
}
