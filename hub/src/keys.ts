import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  generateSigningKey,
  type PublicKey,
  type Role,
  type Root,
  readSigningKey,
  roles,
  type SigningKey,
} from "@muster/shared";
import { readIfThere, syncFolder, writeDurably } from "@muster/shared/node";

/** The private keys that lie on this hub, by role: at most one in use, and one that no root names yet. Mode 0600. */
export class KeyFolder {
  readonly #folder: string;
  readonly #current = new Map<Role, SigningKey>();
  readonly #next = new Map<Role, SigningKey>();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(folder: string): Promise<KeyFolder> {
    const keys = new KeyFolder(folder);
    for (const role of roles) {
      const [current, next] = [await readIfThere(keys.#path(role)), await readIfThere(keys.#path(role, "next"))];
      if (current !== undefined) keys.#current.set(role, readSigningKey(current));
      if (next !== undefined) keys.#next.set(role, readSigningKey(next));
    }
    return keys;
  }

  /** The key in use, when it lies here. */
  current(role: Role): SigningKey | undefined {
    return this.#current.get(role);
  }

  /** The key made for the next root, when there is one. */
  next(role: Role): SigningKey | undefined {
    return this.#next.get(role);
  }

  /** Makes the key of a role when there is none yet. */
  async make(role: Role): Promise<SigningKey> {
    const key = this.#current.get(role) ?? (await this.#write(this.#path(role)));
    this.#current.set(role, key);
    return key;
  }

  /** Makes the key that a coming root is to name; asked again, it is the same key. */
  async prepare(role: Role): Promise<PublicKey> {
    const key = this.#next.get(role) ?? (await this.#write(this.#path(role, "next")));
    this.#next.set(role, key);
    return key.public;
  }

  /** Puts the keys in use that the root names, and removes those it no longer names. May be repeated after a crash. */
  async follow(root: Root): Promise<void> {
    for (const role of roles) {
      const named = (key: SigningKey | undefined) =>
        key !== undefined && root.roles[role].keys.some(({ ed25519 }) => ed25519 === key.public.ed25519);
      const [current, next] = [this.#current.get(role), this.#next.get(role)];
      if (next !== undefined && named(next)) {
        await rename(this.#path(role, "next"), this.#path(role));
        this.#next.delete(role);
        this.#current.set(role, next);
      } else if (current !== undefined && !named(current)) {
        await rm(this.#path(role), { force: true });
        this.#current.delete(role);
      }
    }
    await syncFolder(this.#folder);
  }

  async #write(path: string): Promise<SigningKey> {
    const key = generateSigningKey();
    await writeDurably(path, key.private.export({ type: "pkcs8", format: "pem" }));
    return key;
  }

  #path(role: Role, which?: "next"): string {
    return join(this.#folder, `${role}${which === undefined ? "" : ".next"}.key.pem`);
  }
}
