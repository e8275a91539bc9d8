import { setTimeout as sleep } from "node:timers/promises";
import type { AgentMachine } from "@muster/test";

/** An application on a device: asks its agent by HTTP without a pause and notes every answer it did not get. */
export class Application {
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  answers = 0;
  readonly failures: string[] = [];
  readonly versions = new Set<string>();

  constructor(device: AgentMachine, jpeg: Uint8Array, pauseMs = 40) {
    this.#loop = this.#ask(device, jpeg, pauseMs);
  }

  /** Stops asking and returns itself with the final counts. */
  async stop(): Promise<this> {
    this.#stop.abort();
    await this.#loop;
    return this;
  }

  async #ask(device: AgentMachine, jpeg: Uint8Array, pauseMs: number): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        const response = await device.infer(jpeg);
        const body = (await response.json()) as { model_version?: string };
        if (response.ok) this.answers += 1;
        else this.failures.push(`${device.device}: ${response.status} ${JSON.stringify(body)}`);
        if (body.model_version !== undefined) this.versions.add(body.model_version);
      } catch (error) {
        this.failures.push(`${device.device}: ${String(error)}`);
      }
      await sleep(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }
}
