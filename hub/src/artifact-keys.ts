import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { type BlobRef, type Manifest, MusterError, type SealingKey, type Wanted, wrapKey } from "@muster/shared";
import { readIfThere, writeDurably } from "@muster/shared/node";
import type { Database } from "./store/sql.js";

/** The keys of encrypted artifacts. In the store they lie encrypted under a key that is a file of this hub (mode 0600). */
export class ArtifactKeys {
  readonly #db: Database;
  readonly #master: Buffer;

  private constructor(db: Database, master: Buffer) {
    this.#db = db;
    this.#master = master;
  }

  /** `path` is that of the hub's own key, which is made the first time. */
  static async open(db: Database, path: string): Promise<ArtifactKeys> {
    const known = await readIfThere(path);
    const master = known === undefined ? randomBytes(32) : Buffer.from(known.trim(), "hex");
    if (master.length !== 32) throw new MusterError("store/damaged", `${path} is no key of 32 bytes; restore it`);
    if (known === undefined) await writeDurably(path, `${master.toString("hex")}\n`);
    return new ArtifactKeys(db, master);
  }

  /** Keeps the key of an artifact. */
  async keep(artifact: string, key: Uint8Array): Promise<void> {
    const nonce = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", this.#master, nonce);
    cipher.setAAD(Buffer.from(artifact));
    const sealed = Buffer.concat([nonce, cipher.update(key), cipher.final(), cipher.getAuthTag()]).toString("base64");
    await this.#db.insertInto("artifact_keys").values({ artifact, sealed }).execute();
  }

  /** The keys of a version's encrypted artifacts, each wrapped for one device. Undefined when none is encrypted. */
  async wrap(manifest: Manifest, device: SealingKey): Promise<Wanted["keys"]> {
    const encrypted = manifest.variants
      .map(({ artifact }) => artifact)
      .filter(({ encryption }) => encryption !== undefined);
    if (encrypted.length === 0) return undefined;
    const keys: NonNullable<Wanted["keys"]> = [];
    for (const { sha256 } of encrypted) {
      keys.push({ artifact: sha256, wrapped: wrapKey(await this.#key({ sha256 }), device, sha256) });
    }
    return keys;
  }

  async #key({ sha256 }: Pick<BlobRef, "sha256">): Promise<Buffer> {
    const row = await this.#db
      .selectFrom("artifact_keys")
      .select("sealed")
      .where("artifact", "=", sha256)
      .executeTakeFirst();
    if (row === undefined) throw new MusterError("store/damaged", `the key of artifact ${sha256} is not in the store`);
    const bytes = Buffer.from(row.sealed, "base64");
    const decipher = createDecipheriv("aes-256-gcm", this.#master, bytes.subarray(0, 12));
    decipher.setAAD(Buffer.from(sha256));
    decipher.setAuthTag(bytes.subarray(-16));
    return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]);
  }
}
