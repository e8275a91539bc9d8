import { type Log, MusterError, type VersionView } from "@muster/shared";
import type { Catalog } from "./catalog.js";
import { coveredBy, inScope } from "./core/permission.js";
import type { DeviceRecord, Devices } from "./devices.js";
import type { Garbage } from "./garbage.js";
import type { Publishing } from "./publishing.js";
import type { Rollouts } from "./rollouts.js";

export interface RemovalDeps {
  readonly catalog: Catalog;
  readonly devices: Devices;
  readonly garbage: Pick<Garbage, "sweep">;
  readonly publishing: Pick<Publishing, "whileStill">;
  readonly rollouts: Pick<Rollouts, "whileStill" | "naming">;
  readonly log: Log;
}

/** So many of those who need a version are named; the others are counted. */
const maxNamed = 5;

/** Takes versions out of the catalog that nobody needs any more, and their bytes out of the store. */
export class Removal {
  readonly #deps: RemovalDeps;

  constructor(deps: RemovalDeps) {
    this.#deps = deps;
  }

  /**
   * Removes a version. Throws `model/unknown`, or `model/in-use` while a device is to run it, runs it or could go back to
   * it, or while a rollout that has not ended brings it or would go back to it. Who lies beyond `scope` is only counted.
   */
  async remove(model: string, version: string, scope = ""): Promise<void> {
    const { catalog, garbage, publishing, rollouts, log } = this.#deps;
    // Neither a push nor a rollout comes between the look and the removal.
    const whileStill = (work: () => Promise<void>) => publishing.whileStill(() => rollouts.whileStill(work));
    await whileStill(async () => {
      const users = await this.#users(await catalog.get(model, version), scope);
      if (users.length === 0) return catalog.remove(model, version);
      const more = users.length > maxNamed ? `; and ${users.length - maxNamed} more` : "";
      const who = `${users.slice(0, maxNamed).join("; ")}${more}`;
      throw new MusterError("model/in-use", `${model} ${version} is still needed: ${who}`);
    });
    // The version is gone, whether or not its bytes can be removed now; the next sweep tries again.
    await garbage.sweep().catch((error) => log.error("garbage.sweep.failed", { error }));
  }

  async #users(version: VersionView, scope: string): Promise<string[]> {
    const { devices, rollouts } = this.#deps;
    const users: string[] = [];
    let beyond = 0;
    for (const { id, selector } of await rollouts.naming(version)) {
      if (coveredBy(scope, selector)) users.push(`rollout ${id} has not ended`);
      else beyond += 1;
    }
    for (const device of await devices.list()) {
      const use = useOf(device, version);
      if (use === undefined) continue;
      if (inScope(scope, device.id, device.labels)) users.push(`device ${device.id} ${use}`);
      else beyond += 1;
    }
    return beyond === 0 ? users : [...users, `${beyond} device(s) or rollout(s) beyond '${scope}'`];
  }
}

/** What a device needs a version for; undefined when it does not. */
function useOf(
  { wanted, reported }: DeviceRecord,
  { model, version, manifestDigest }: VersionView,
): string | undefined {
  if (wanted.some(({ manifest }) => manifest.sha256 === manifestDigest)) return "is to run it";
  const said = reported?.models.find((entry) => entry.model === model);
  if (said?.committed?.manifest === manifestDigest || said?.serving === version) return "runs it";
  if (said?.candidate?.manifest === manifestDigest) return "is trying it";
  return said?.previous?.manifest === manifestDigest ? "keeps it to go back to" : undefined;
}
