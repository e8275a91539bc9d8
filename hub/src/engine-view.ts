import {
  type BuiltEngine,
  EngineHardware,
  engineClass,
  type HeldEngine,
  type Manifest,
  type PrebuiltEngine,
  type ReportedModel,
  type Root,
  type SharedEngine,
  type VersionView,
  verifyPrebuiltEngine,
} from "@muster/shared";
import { inScope } from "./core/permission.js";
import type { DeviceRecord } from "./devices.js";
import { sizeOf } from "./engine-intake.js";
import type { StoredEngine } from "./store/engine-store.js";

/** What of a version a device has built an engine of. */
export interface Built {
  readonly engine: BuiltEngine;
  readonly variant: Manifest["variants"][number];
}

/** The engine that a device says it built of a version, if it runs that version and the engine is of one of its variants. */
export function builtOf({ committed, engine }: ReportedModel, version: VersionView): Built | undefined {
  if (engine === undefined || committed?.manifest !== version.manifestDigest) return undefined;
  const variant = version.manifest.variants.find(({ artifact }) => artifact.sha256 === engine.artifact);
  return variant === undefined ? undefined : { engine, variant };
}

/** A signed engine as the API shows it; undefined while it is not signed. `fleet` tells whether its device lies in the scope. */
export function sharedView(
  { id, engine, signed, hardware }: StoredEngine,
  versions: readonly VersionView[],
  root: Root,
  { scope, fleet }: { readonly scope: string; readonly fleet: ReadonlyMap<string, DeviceRecord> },
): SharedEngine | undefined {
  if (signed === undefined) return undefined;
  const builder = fleet.get(engine.builtBy);
  const seen = scope === "" || (builder !== undefined && inScope(scope, builder.id, builder.labels));
  const files = listed(engine);
  return {
    ...{ id, artifact: engine.artifact, engineClass: engine.engineClass, hardware },
    versions: versions.flatMap(({ model, version, manifest }) =>
      manifest.variants
        .filter(({ artifact }) => artifact.sha256 === engine.artifact)
        .map(({ name }) => ({ model, version, variant: name })),
    ),
    ...(seen ? { builtBy: engine.builtBy } : {}),
    ...{ files, sizeBytes: sizeOf(files) },
    signedBy: signed.envelope.signatures.map(({ keyid }) => keyid),
    trusted: isTrusted(signed.envelope, engine, root),
    sharedMs: signed.atMs,
  };
}

/** Engines that devices hold, of versions that are known here. */
export function heldViews(
  devices: readonly DeviceRecord[],
  versions: readonly VersionView[],
  shared: readonly StoredEngine[],
): HeldEngine[] {
  const byManifest = new Map(versions.map((version) => [version.manifestDigest, version]));
  const signed = shared.filter((one) => one.signed !== undefined);
  return devices.flatMap(({ id: device, hardware, reported }) =>
    (reported?.models ?? []).flatMap((said): HeldEngine[] => {
      const version = byManifest.get(said.committed?.manifest ?? "");
      const built = version && builtOf(said, version);
      if (version === undefined || built === undefined) return [];
      const own = hardware && engineClass(hardware);
      const { artifact, files } = built.engine;
      const same = signed.find(({ engine }) => engine.artifact === artifact && engine.engineClass === own);
      return [
        {
          ...{ device, model: version.model, version: version.version, variant: built.variant.name, artifact, files },
          ...(own === undefined ? {} : { engineClass: own }),
          ...(hardware === undefined ? {} : { hardware: EngineHardware.parse(hardware) }),
          sizeBytes: sizeOf(files),
          ...(same === undefined ? {} : { shared: same.id }),
        },
      ];
    }),
  );
}

/** The files of a prepared engine as the device that built it listed them. */
export function listed({ files }: PrebuiltEngine): BuiltEngine["files"] {
  return files.map(({ name, artifact: { sha256, sizeBytes } }) => ({ name, sha256, sizeBytes }));
}

/** Whether devices take it: the release keys of the root in force have signed it. */
export function isTrusted(envelope: unknown, engine: PrebuiltEngine, root: Root): boolean {
  try {
    verifyPrebuiltEngine(envelope, root, engine);
    return true;
  } catch {
    return false;
  }
}
