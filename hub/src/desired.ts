import {
  type Clock,
  type Desired,
  type DesiredMessage,
  desiredType,
  Envelope,
  type Hello,
  type Log,
  maxRootSteps,
  type SealingKey,
  type SigningKey,
  seal,
  TurnsOf,
  type Wanted,
} from "@muster/shared";
import type { ArtifactKeys } from "./artifact-keys.js";
import type { Catalog } from "./catalog.js";
import type { Encodings } from "./encodings.js";
import type { DeviceLink } from "./ports.js";
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
  /** What a device is told beside: keys of encrypted artifacts, and shorter ways to them. */
  readonly keys: { readonly artifactKeys: ArtifactKeys; readonly catalog: Catalog; readonly encodings: Encodings };
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

  /** Gives the device its document again; signed anew when half of its life is over or its key was replaced. */
  resend(device: string): Promise<void> {
    return this.#turns.take(device, () => this.#resend(device));
  }

  async #resend(device: string): Promise<void> {
    const row = await this.#row(device);
    if (row === undefined) return;
    const { clock, validMs, trust } = this.#deps;
    const envelope = row.desired_envelope === null ? undefined : Envelope.parse(JSON.parse(row.desired_envelope));
    const signed = envelope?.signatures.some(({ keyid }) => keyid === trust.director.public.keyid) ?? false;
    const stale =
      row.desired_expires_ms - clock.now() < validMs / 2 || (helloOf(row).sealingKey ?? null) !== row.sealed_for;
    if (envelope === undefined || !signed || stale) {
      await this.#issue(device, row.desired_revision + 1, JSON.parse(row.desired_models) as Wanted[]);
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
    const { sealingKey } = before === undefined ? {} : helloOf(before);
    const keyed = await this.#withKeys(models, sealingKey);
    const document: Desired = { device, revision, issuedMs, expiresMs: issuedMs + validMs, models: keyed };
    const envelope = seal(desiredType, Buffer.from(JSON.stringify(document)), [trust.director]);
    const set = {
      desired_revision: revision,
      desired_models: JSON.stringify(models),
      desired_envelope: JSON.stringify(envelope),
      desired_expires_ms: document.expiresMs,
      sealed_for: sealingKey ?? null,
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

  /** What a device is to run, with all it needs to get it. Only what is sent has that, not what is stored. */
  async #withKeys(models: readonly Wanted[], sealingKey: SealingKey | undefined): Promise<Wanted[]> {
    const { artifactKeys, catalog, encodings } = this.#deps.keys;
    return Promise.all(
      models.map(async (wanted) => {
        const version = await catalog.byManifest(wanted.manifest.sha256);
        if (version === undefined) return wanted;
        const hints = await encodings.hints(version.manifest);
        const keys = sealingKey === undefined ? undefined : await artifactKeys.wrap(version.manifest, sealingKey);
        return {
          ...wanted,
          ...(hints.length === 0 ? {} : { hints }),
          ...(keys === undefined ? {} : { keys }),
        };
      }),
    );
  }

  async #row(device: string) {
    return this.#deps.db
      .selectFrom("devices")
      .select(["desired_revision", "desired_models", "desired_envelope", "desired_expires_ms", "hello", "sealed_for"])
      .where("id", "=", device)
      .executeTakeFirst();
  }
}

/** What a device said of itself last that matters here. */
function helloOf({ hello }: { readonly hello: string | null }): Pick<Hello, "rootVersion" | "sealingKey"> {
  return hello === null ? { rootVersion: 0 } : (JSON.parse(hello) as Hello);
}
