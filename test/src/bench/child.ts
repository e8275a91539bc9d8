import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** Another program of the benchmarks in a process of its own: each message to it gets one answer. */
export class Child {
  readonly #process: ChildProcess;

  constructor(script: string) {
    const path = fileURLToPath(new URL(script, import.meta.url));
    this.#process = fork(path, [], { serialization: "advanced", stdio: ["ignore", "inherit", "inherit", "ipc"] });
  }

  /** Throws when the process ends instead of answering. */
  async ask<T>(message: object): Promise<T> {
    const settled = new AbortController();
    const { signal } = settled;
    try {
      const ended = once(this.#process, "exit", { signal }).then(([code]) => {
        throw new Error(`the process ended with ${code}`);
      });
      const answered = once(this.#process, "message", { signal });
      this.#process.send(message);
      return ((await Promise.race([answered, ended])) as [T])[0];
    } finally {
      settled.abort();
    }
  }

  close(): void {
    this.#process.kill();
  }
}
