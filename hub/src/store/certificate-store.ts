import type { KnownCertificate } from "../core/certificate-rules.js";
import type { Database } from "./sql.js";

/** Every device's certificates: in memory to be asked at each connect, and in the database. */
export class CertificateStore {
  readonly #db: Database;
  readonly #known = new Map<string, Map<string, KnownCertificate>>();
  #writing: Promise<void> = Promise.resolve();

  private constructor(db: Database) {
    this.#db = db;
  }

  static async open(db: Database): Promise<CertificateStore> {
    const store = new CertificateStore(db);
    const rows = await db.selectFrom("certificates").selectAll().orderBy("issued_ms").execute();
    for (const { device, serial, issued_ms, expires_ms, revoked_ms, reason } of rows) {
      store.#remember(device, {
        ...{ serial, issuedMs: issued_ms, expiresMs: expires_ms },
        ...{ revokedMs: revoked_ms ?? undefined, reason: reason ?? undefined },
      });
    }
    return store;
  }

  /** The certificates of a device, in the order of issue. */
  of(device: string): KnownCertificate[] {
    return [...(this.#known.get(device)?.values() ?? [])];
  }

  /** The certificates of every device. */
  all(): (KnownCertificate & { readonly device: string })[] {
    return [...this.#known].flatMap(([device, known]) =>
      [...known.values()].map((certificate) => ({ device, ...certificate })),
    );
  }

  find(device: string, serial: string): KnownCertificate | undefined {
    return this.#known.get(device)?.get(serial);
  }

  /** Adds certificates or replaces what was known of them: at once in memory, durably when it resolves. */
  put(device: string, certificates: readonly KnownCertificate[]): Promise<void> {
    for (const certificate of certificates) this.#remember(device, certificate);
    const rows = certificates.map(({ serial, issuedMs, expiresMs, revokedMs, reason }) => ({
      ...{ device, serial, issued_ms: issuedMs, expires_ms: expiresMs },
      ...{ revoked_ms: revokedMs ?? null, reason: reason ?? null },
    }));
    return this.#inOrder(async () => {
      if (rows.length === 0) return;
      await this.#db.transaction().execute(async (tx) => {
        for (const row of rows) {
          await tx
            .insertInto("certificates")
            .values(row)
            .onConflict((conflict) => conflict.columns(["device", "serial"]).doUpdateSet(row))
            .execute();
        }
      });
    });
  }

  /** Forgets the certificates of a device that the test names. */
  drop(device: string, which: (certificate: KnownCertificate) => boolean): Promise<void> {
    const serials = this.of(device)
      .filter(which)
      .map(({ serial }) => serial);
    for (const serial of serials) this.#known.get(device)?.delete(serial);
    return this.#inOrder(async () => {
      if (serials.length === 0) return;
      await this.#db.deleteFrom("certificates").where("device", "=", device).where("serial", "in", serials).execute();
    });
  }

  /** Waits until everything said so far is stored. */
  async close(): Promise<void> {
    await this.#writing;
  }

  /** One write after the other, so that a later one is never overtaken. */
  #inOrder(write: () => Promise<void>): Promise<void> {
    const written = this.#writing.then(write);
    this.#writing = written.catch(() => undefined);
    return written;
  }

  #remember(device: string, certificate: KnownCertificate): void {
    const known = this.#known.get(device) ?? new Map<string, KnownCertificate>();
    known.set(certificate.serial, certificate);
    this.#known.set(device, known);
  }
}
