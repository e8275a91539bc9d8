import { engineClass, type Log, type PrebuiltEngine } from "@muster/shared";
import type { Catalog } from "./catalog.js";
import { enginesOf } from "./core/engine-match.js";
import type { DesiredDocuments } from "./desired.js";
import type { DeviceRecord, Devices } from "./devices.js";

export interface EngineNewsDeps {
  readonly catalog: Pick<Catalog, "byManifest">;
  readonly devices: Pick<Devices, "list">;
  readonly desired: Pick<DesiredDocuments, "resend">;
  readonly log: Log;
}

/** Tells devices that an engine came or went. */
export class EngineNews {
  readonly #deps: EngineNewsDeps;

  constructor(deps: EngineNewsDeps) {
    this.#deps = deps;
  }

  /**
   * Gives those devices their document again for which the engine makes a difference now: of its class, and still on their way
   * to a version with its model file. All others hear of it with their next document.
   */
  async tell(engine: PrebuiltEngine): Promise<void> {
    const { devices, desired, log } = this.#deps;
    const concerned = new Map<string, boolean>();
    for (const device of await devices.list()) {
      if (device.hardware === undefined || engineClass(device.hardware) !== engine.engineClass) continue;
      for (const manifest of underWay(device)) {
        const known = concerned.get(manifest) ?? (await this.#concerns(engine, manifest));
        concerned.set(manifest, known);
        if (!known) continue;
        await desired
          .resend(device.id)
          .catch((error) => log.error("device.desired.failed", { device: device.id, error }));
        break;
      }
    }
  }

  async #concerns(engine: PrebuiltEngine, manifest: string): Promise<boolean> {
    const version = await this.#deps.catalog.byManifest(manifest);
    return version !== undefined && enginesOf(version.manifest, [{ engine }]).length > 0;
  }
}

/** Manifests of what a device is wanted to run and has not committed. */
function underWay({ wanted, reported }: DeviceRecord): string[] {
  const committed = new Set(reported?.models.map((said) => said.committed?.manifest));
  return wanted.map(({ manifest }) => manifest.sha256).filter((manifest) => !committed.has(manifest));
}
