import {
  type Clock,
  type Desired,
  type DesiredMessage,
  desiredType,
  Envelope,
  type Hello,
  type Log,
  maxRootSteps,
  type SigningKey,
  seal,
  TurnsOf,
  type Wanted,
} from "@muster/shared";
import type { ArtifactKeys } from "./artifact-keys.js";
import type { Catalog } from "./catalog.js";
import { enginesOf } from "./core/engine-match.js";
import type { Encodings } from "./encodings.js";
import type { DeviceLink } from "./ports.js";
import type { EngineStore } from "./store/engine-store.js";
import type { Database } from "./store/sql.js";

/** Who signs what devices are to run, and the roots that say so. */
export interface Director {
  readonly director: SigningKey;
  /** The roots after a version, oldest first. */
  chain(after: number): Envelope[];
}

export interface DesiredDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly link: DeviceLink;
  readonly trust: Director;
  /** What a device is told beside: keys of encrypted artifacts, shorter ways to them, and engines that others built of them. */
  readonly keys: {
    readonly artifactKeys: ArtifactKeys;
    readonly catalog: Catalog;
    readonly encodings: Encodings;
    readonly engines: Pick<EngineStore, "signedFor">;
  };
  /** How long a document is valid. */
  readonly validMs: number;
  readonly log: Log;
}

/** Signs what each device is to run, keeps it, and hands it to the broker. Only rollouts change it. */
export class DesiredDocuments {
  readonly #deps: DesiredDeps;
  /** One change of a device's document after the other: two at once would use a revision twice. */
  readonly #turns = new TurnsOf<string>();

  constructor(deps: DesiredDeps) {
    this.#deps = deps;
  }

  /**
   * Wants the version of the device, or with undefined no version of this model, and nothing else
   * changed. Wanting what is wanted already changes nothing.
   */
  want(device: string, model: string, wanted: Wanted | undefined): Promise<void> {
    return this.#turns.take(device, () => this.#want(device, model, wanted));
  }

  async #want(device: string, model: string, wanted: Wanted | undefined): Promise<void> {
    const row = await this.#row(device);
    if (row === undefined) return;
    const before = JSON.parse(row.desired_models) as Wanted[];
    const models = [...before.filter((entry) => entry.model !== model), ...(wanted === undefined ? [] : [wanted])];
    models.sort((a, b) => (a.model < b.model ? -1 : 1));
    if (JSON.stringify(models) === row.desired_models) return;
    await this.#issue(device, row.desired_revision + 1, models);
  }

  /**
   * Gives the device its document again; signed anew when half of its life is over, its key was replaced, or there are other
   * engines for it now. That is no new attempt: to a device which is past its trial it says nothing new.
   */
  resend(device: string): Promise<void> {
    return this.#turns.take(device, () => this.#resend(device));
  }

  async #resend(device: string): Promise<void> {
    const row = await this.#row(device);
    if (row === undefined) return;
    const { clock, validMs, trust } = this.#deps;
    const envelope = row.desired_envelope === null ? undefined : Envelope.parse(JSON.parse(row.desired_envelope));
    const signed = envelope?.signatures.some(({ keyid }) => keyid === trust.director.public.keyid) ?? false;
    const models = JSON.parse(row.desired_models) as Wanted[];
    const hello = helloOf(row);
    const old = row.desired_expires_ms - clock.now() < validMs / 2;
    const stale = old || (hello.sealingKey ?? null) !== row.sealed_for || (await this.#otherEngines(row, models));
    if (envelope === undefined || !signed || stale) {
      await this.#issue(device, row.desired_revision + 1, models);
    } else {
      await this.#send(device, row, envelope);
    }
  }

  /** Gives every device its document again, as after a change of keys. */
  async resendAll(): Promise<void> {
    const rows = await this.#deps.db.selectFrom("devices").select("id").orderBy("id").execute();
    await this.#resendEach(rows);
  }

  /** Signs anew what will expire: a device that stays connected for long is never left without. */
  async renew(): Promise<void> {
    const { db, clock, validMs } = this.#deps;
    const rows = await db
      .selectFrom("devices")
      .select("id")
      .where("desired_revision", ">", 0)
      .where("desired_expires_ms", "<", clock.now() + validMs / 2)
      .execute();
    await this.#resendEach(rows);
  }

  /** One device whose document cannot be made holds up no other. */
  async #resendEach(rows: readonly { id: string }[]): Promise<void> {
    for (const { id } of rows) {
      await this.resend(id).catch((error) => this.#deps.log.error("device.desired.failed", { device: id, error }));
    }
  }

  async #issue(device: string, revision: number, models: Wanted[]): Promise<void> {
    const { db, clock, trust, validMs, log } = this.#deps;
    const issuedMs = clock.now();
    const before = await this.#row(device);
    const hello: Told = before === undefined ? {} : helloOf(before);
    const { told, engines } = await this.#told(models, hello);
    const document: Desired = { device, revision, issuedMs, expiresMs: issuedMs + validMs, models: told };
    const envelope = seal(desiredType, Buffer.from(JSON.stringify(document)), [trust.director]);
    const set = {
      desired_revision: revision,
      desired_models: JSON.stringify(models),
      desired_envelope: JSON.stringify(envelope),
      desired_expires_ms: document.expiresMs,
      sealed_for: hello.sealingKey ?? null,
      told_engines: engines,
    };
    await db.updateTable("devices").set(set).where("id", "=", device).execute();
    if (before !== undefined) await this.#send(device, before, envelope);
    log.info("device.desired.issued", {
      device,
      revision,
      models: models.map(({ model, version }) => `${model} ${version}`),
    });
  }

  /** With the roots the device has not said it knows, so that one message is enough after any number of rotations. */
  async #send(device: string, row: { hello: string | null }, desired: Envelope): Promise<void> {
    const { link, trust } = this.#deps;
    const { rootVersion } = helloOf(row);
    const { lanes } = link;
    const message: DesiredMessage = { lanes, roots: trust.chain(rootVersion).slice(0, maxRootSteps), desired };
    await link.retain(device, "desired", Buffer.from(JSON.stringify(message)));
  }

  /** What a device is to run, with all it needs to get it, and the ids of the engines in that. Only what is sent has it, not what is stored. */
  async #told(
    models: readonly Wanted[],
    { sealingKey, hardware }: Told,
  ): Promise<{ told: Wanted[]; engines: string | null }> {
    const { artifactKeys, catalog, encodings, engines } = this.#deps.keys;
    const shared = await engines.signedFor(hardware);
    const ids: string[] = [];
    const told: Wanted[] = [];
    for (const wanted of models) {
      const version = await catalog.byManifest(wanted.manifest.sha256);
      if (version === undefined) {
        told.push(wanted);
        continue;
      }
      const hints = await encodings.hints(version.manifest);
      const keys = sealingKey === undefined ? undefined : await artifactKeys.wrap(version.manifest, sealingKey);
      const own = enginesOf(version.manifest, shared);
      ids.push(...own.map(({ id }) => id));
      told.push({
        ...wanted,
        ...(hints.length === 0 ? {} : { hints }),
        ...(keys === undefined ? {} : { keys }),
        ...(own.length === 0 ? {} : { engines: own.flatMap(({ signed }) => signed?.envelope ?? []) }),
      });
    }
    return { told, engines: ids.length === 0 ? null : ids.join(" ") };
  }

  /** Whether the document that the device has names other engines than there are for it. */
  async #otherEngines(row: { hello: string | null; told_engines: string | null }, models: readonly Wanted[]) {
    const { catalog, engines } = this.#deps.keys;
    const shared = await engines.signedFor(helloOf(row).hardware);
    const ids: string[] = [];
    for (const { manifest } of shared.length === 0 ? [] : models) {
      const version = await catalog.byManifest(manifest.sha256);
      if (version !== undefined) ids.push(...enginesOf(version.manifest, shared).map(({ id }) => id));
    }
    return ids.join(" ") !== (row.told_engines ?? "");
  }

  async #row(device: string) {
    return this.#deps.db
      .selectFrom("devices")
      .select([
        "desired_revision",
        "desired_models",
        "desired_envelope",
        "desired_expires_ms",
        "hello",
        "sealed_for",
        "told_engines",
      ])
      .where("id", "=", device)
      .executeTakeFirst();
  }
}

/** What a device said of itself last that matters here. */
type Told = Partial<Pick<Hello, "sealingKey" | "hardware">>;

function helloOf({ hello }: { readonly hello: string | null }): Told & Pick<Hello, "rootVersion"> {
  return hello === null ? { rootVersion: 0 } : (JSON.parse(hello) as Hello);
}
