import { blobsOf, engineClass, type VersionView } from "@muster/shared";
import type { Catalog } from "./catalog.js";
import { enginesOf } from "./core/engine-match.js";
import type { DeviceRecord } from "./devices.js";
import type { Encodings } from "./encodings.js";
import type { EngineStore } from "./store/engine-store.js";
import type { RolloutStore } from "./store/rollout-store.js";

export interface EntitlementDeps {
  readonly catalog: Pick<Catalog, "byManifest">;
  readonly encodings: Pick<Encodings, "hints">;
  readonly engines: Pick<EngineStore, "signedFor" | "changes">;
  readonly rollouts: Pick<RolloutStore, "wasOffered">;
}

/**
 * What a device may fetch: what its desired document names, engines of it that run on its hardware, and what it says it has installed, to make that whole again
 * after its disk has damaged it. What a device says is believed only where a rollout once brought that version to it.
 */
export class Entitlement {
  readonly #deps: EntitlementDeps;

  constructor(deps: EntitlementDeps) {
    this.#deps = deps;
  }

  /** Changes whenever what the device may fetch does. */
  stateOf(device: Pick<DeviceRecord, "desired" | "reported" | "hardware">): string {
    const own = device.hardware === undefined ? undefined : engineClass(device.hardware);
    return [device.desired.revision, this.#deps.engines.changes, own, ...installedOn(device)].join(" ");
  }

  /** Digests of all blobs that the device may fetch. */
  async of(device: Pick<DeviceRecord, "id" | "wanted" | "reported" | "hardware">): Promise<Set<string>> {
    const { catalog, encodings, engines, rollouts } = this.#deps;
    const shared = await engines.signedFor(device.hardware);
    const digests = new Set<string>();
    const allow = ({ manifestDigest, manifest }: VersionView) => {
      digests.add(manifestDigest);
      for (const { sha256 } of blobsOf(manifest)) digests.add(sha256);
    };
    for (const { manifest } of device.wanted) {
      digests.add(manifest.sha256);
      const version = await catalog.byManifest(manifest.sha256);
      if (version === undefined) continue;
      allow(version);
      for (const { engine } of enginesOf(version.manifest, shared))
        for (const { artifact } of engine.files) digests.add(artifact.sha256).add(artifact.index.sha256);
      for (const { deltas = [] } of await encodings.hints(version.manifest))
        for (const { delta } of deltas) digests.add(delta.sha256).add(delta.index.sha256);
    }
    for (const manifest of installedOn(device)) {
      const version = digests.has(manifest) ? undefined : await catalog.byManifest(manifest);
      if (version !== undefined && (await rollouts.wasOffered(device.id, version))) allow(version);
    }
    return digests;
  }
}

/** Manifests of the versions that a device says it runs or keeps to go back to. */
function installedOn({ reported }: Pick<DeviceRecord, "reported">): string[] {
  return (reported?.models ?? []).flatMap(({ committed, previous }) =>
    [committed?.manifest, previous?.manifest].filter((manifest) => manifest !== undefined),
  );
}
