import { type Clock, type Command, encode, type Log, MusterError } from "@muster/shared";
import type { Devices } from "./devices.js";
import type { DeviceLink } from "./ports.js";

export interface RollCallDeps {
  readonly devices: Devices;
  readonly link: Pick<DeviceLink, "send">;
  readonly clock: Pick<Clock, "now">;
  /** A device that has said nothing for so long is asked whether it is there. */
  readonly silentMs: number;
  readonly log: Log;
}

/** Asks devices whether they are there, where a broker elsewhere does not tell. Who does not answer is offline in time. */
export class RollCall {
  readonly #deps: RollCallDeps;

  constructor(deps: RollCallDeps) {
    this.#deps = deps;
  }

  /** Has everybody say hello: what they said while nobody listened is lost. */
  async all(): Promise<void> {
    await this.#ask(this.#deps.devices.ids(), { type: "hello" });
  }

  /** Has a device report, whose last will may be that of a connection before its present one. */
  async doubt(device: string): Promise<void> {
    await this.#ask([device], { type: "resync" });
  }

  /** Has those report that count as online and have been silent. */
  async tick(): Promise<void> {
    const { devices, clock, silentMs } = this.#deps;
    await this.#ask(devices.silentSince(clock.now() - silentMs), { type: "resync" });
  }

  async #ask(devices: readonly string[], command: Command): Promise<void> {
    const { link, log } = this.#deps;
    const asked = devices.map((device) =>
      link.send(device, "command", encode(command)).catch((error) => {
        // When the broker is back, everybody is asked again.
        if (error instanceof MusterError && error.code === "link/closed") return;
        log.error("device.question.failed", { device, error });
      }),
    );
    await Promise.all(asked);
  }
}
