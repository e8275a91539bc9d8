import { setTimeout as sleep } from "node:timers/promises";
import { type AgentMachine, writeLabels } from "@muster/test";

/** The lamp over one line. */
export interface Lamp {
  light: number;
  blur: number;
}

/** Cameras over the lines: each writes label photos into its device's folder, and remembers what they show. */
export class Cameras {
  readonly lamps = new Map<string, Lamp>();
  readonly #truth = new Map<string, string>();
  readonly #stop = new AbortController();
  readonly #loops: Promise<void>[];

  constructor(devices: readonly AgentMachine[], pauseMs: number) {
    this.#loops = devices.map((device, at) => this.#film(device, at, pauseMs));
  }

  /** What the photo of this file name shows. */
  truth(file: string): string | undefined {
    return this.#truth.get(file);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#loops);
  }

  async #film(device: AgentMachine, at: number, pauseMs: number): Promise<void> {
    const lamp: Lamp = { light: 1, blur: 0 };
    this.lamps.set(device.device, lamp);
    for (let number = 0; !this.#stop.signal.aborted; number += 1) {
      const [photo] = await writeLabels(device.inbox, { count: 1, seed: 1_000_000 * (at + 1) + number, ...lamp });
      if (photo !== undefined) this.#truth.set(photo.path.split("/").at(-1) ?? "", photo.label);
      await sleep(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }
}
