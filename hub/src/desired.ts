import { type Clock, type Desired, desiredType, type Log, type SigningKey, seal, type Wanted } from "@muster/shared";
import type { DeviceLink } from "./ports.js";
import type { Database } from "./store/sql.js";

export interface DesiredDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly link: DeviceLink;
  readonly director: SigningKey;
  /** How long a document is valid. */
  readonly validMs: number;
  readonly log: Log;
}

/** Signs what each device is to run, keeps it, and hands it to the broker. Only rollouts change it. */
export class DesiredDocuments {
  readonly #deps: DesiredDeps;

  constructor(deps: DesiredDeps) {
    this.#deps = deps;
  }

  /**
   * Wants the version of the device, or with undefined no version of this model, and nothing else
   * changed. Wanting what is wanted already changes nothing.
   */
  async want(device: string, model: string, wanted: Wanted | undefined): Promise<void> {
    const row = await this.#row(device);
    if (row === undefined) return;
    const before = JSON.parse(row.desired_models) as Wanted[];
    const models = [...before.filter((entry) => entry.model !== model), ...(wanted === undefined ? [] : [wanted])];
    models.sort((a, b) => (a.model < b.model ? -1 : 1));
    if (JSON.stringify(models) === row.desired_models) return;
    await this.#issue(device, row.desired_revision + 1, models);
  }

  /** Gives the device its document again, signed anew when half of its life is over. */
  async resend(device: string): Promise<void> {
    const row = await this.#row(device);
    if (row === undefined) return;
    const { clock, validMs, link } = this.#deps;
    if (row.desired_envelope === null || row.desired_expires_ms - clock.now() < validMs / 2) {
      await this.#issue(device, row.desired_revision + 1, JSON.parse(row.desired_models) as Wanted[]);
    } else {
      await link.retain(device, "desired", Buffer.from(row.desired_envelope));
    }
  }

  async #issue(device: string, revision: number, models: Wanted[]): Promise<void> {
    const { db, clock, link, director, validMs, log } = this.#deps;
    const issuedMs = clock.now();
    const document: Desired = { device, revision, issuedMs, expiresMs: issuedMs + validMs, models };
    const envelope = JSON.stringify(seal(desiredType, Buffer.from(JSON.stringify(document)), [director]));
    const set = {
      desired_revision: revision,
      desired_models: JSON.stringify(models),
      desired_envelope: envelope,
      desired_expires_ms: document.expiresMs,
    };
    await db.updateTable("devices").set(set).where("id", "=", device).execute();
    await link.retain(device, "desired", Buffer.from(envelope));
    log.info("device.desired.issued", {
      device,
      revision,
      models: models.map(({ model, version }) => `${model} ${version}`),
    });
  }

  async #row(device: string) {
    return this.#deps.db
      .selectFrom("devices")
      .select(["desired_revision", "desired_models", "desired_envelope", "desired_expires_ms"])
      .where("id", "=", device)
      .executeTakeFirst();
  }
}
