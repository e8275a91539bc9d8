import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  type Clock,
  Envelope,
  followRoots,
  type Log,
  MusterError,
  openRoot,
  type PublicKey,
  parseWith,
  type Role,
  type Root,
  roles,
  rootType,
  type SigningKey,
  seal,
  type TrustView,
  Turns,
} from "@muster/shared";
import { readIfThere, writeDurably } from "@muster/shared/node";
import { nextRoot, renewalDue, rootLifeMs } from "./core/next-root.js";
import { KeyFolder } from "./keys.js";

/** Whom devices trust: the chain of roots, and the keys among them that lie on this hub. */
export class Trust {
  readonly #folder: string;
  readonly #keys: KeyFolder;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #chain: Envelope[] = [];
  #root: Root;
  /** One change at a time. */
  readonly #turns = new Turns();

  private constructor(folder: string, keys: KeyFolder, clock: Clock, log: Log, chain: Envelope[]) {
    this.#folder = folder;
    this.#keys = keys;
    this.#clock = clock;
    this.#log = log;
    this.#chain = chain;
    this.#root = followRoots(openRoot(chain[0]), chain);
  }

  /**
   * Opens the chain in the folder. An empty folder is filled with a key for every role and a first root, so that
   * signatures are on before anybody has configured anything. Throws `store/damaged`, `signature/invalid`.
   */
  static async open(folder: string, clock: Clock, log: Log): Promise<Trust> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const keys = await KeyFolder.open(folder);
    const chain: Envelope[] = [];
    for (let text = await readIfThere(rootPath(folder, 1)); text !== undefined; ) {
      chain.push(parseWith(Envelope, JSON.parse(text), "store/damaged", rootPath(folder, chain.length + 1)));
      text = await readIfThere(rootPath(folder, chain.length + 1));
    }
    if (chain.length === 0) chain.push(await beginChain(folder, keys, clock.now()));
    const trust = new Trust(folder, keys, clock, log, chain);
    await keys.follow(trust.root);
    if (keys.current("director") === undefined) {
      const path = join(folder, "director.key.pem");
      throw new MusterError(
        "store/damaged",
        `${path} is not there, and root ${trust.root.version} names it; restore it`,
      );
    }
    return trust;
  }

  /** What devices trust now. */
  get root(): Root {
    return this.#root;
  }

  /** Signs what devices are to run. */
  get director(): SigningKey {
    return this.#keys.current("director") as SigningKey;
  }

  /** Signs manifests, unless that key lies elsewhere or more than one has to sign. */
  get release(): SigningKey | undefined {
    return this.#root.roles.release.threshold === 1 ? this.#keys.current("release") : undefined;
  }

  /** The roots after a version, oldest first. */
  chain(after = 0): Envelope[] {
    return this.#chain.slice(after);
  }

  view(): TrustView {
    const here = (role: Role, keyid: string) => this.#keys.current(role)?.public.keyid === keyid;
    const view = (role: Role) => ({
      threshold: this.#root.roles[role].threshold,
      keys: this.#root.roles[role].keys.map((key) => ({ ...key, onHub: here(role, key.keyid) })),
    });
    const { version, issuedMs, expiresMs } = this.#root;
    const all = { root: view("root"), release: view("release"), director: view("director") };
    return { version, issuedMs, expiresMs, roles: all, chain: this.#chain };
  }

  /** Makes a key on this hub that the next root is to name for a role. */
  prepare(role: Role): Promise<PublicKey> {
    return this.#turns.take(() => this.#keys.prepare(role));
  }

  /**
   * Takes the next root. Root keys that lie here sign it as well. Private keys that it no longer names are removed.
   * Throws `signature/invalid`, or `trust/refused` when this hub could not go on working under it.
   */
  adopt(envelope: Envelope): Promise<TrustView> {
    return this.#turns.take(() => this.#adopt(envelope));
  }

  /** Issues the root anew when half of its life is over and enough root keys lie here. */
  async renewIfDue(): Promise<void> {
    await this.#turns.take(async () => {
      const nowMs = this.#clock.now();
      const { root } = this;
      if (!renewalDue(root, nowMs)) return;
      if (root.roles.root.threshold === 1 && this.#keys.current("root") !== undefined) {
        const renewed = nextRoot(root, {}, { nowMs, lifeMs: root.expiresMs - root.issuedMs });
        await this.#adopt(seal(rootType, Buffer.from(JSON.stringify(renewed)), []));
      } else {
        const expires = new Date(root.expiresMs).toISOString();
        this.#log.warn("trust.root.expiring", { version: root.version, expires, cure: "muster key renew" });
      }
    });
  }

  async #adopt(given: Envelope): Promise<TrustView> {
    const envelope = this.#countersigned(given);
    if (envelope.signatures.length === 0) {
      throw new MusterError("trust/refused", "no root key signed this root; give the folder with the keys: --keys DIR");
    }
    const root = followRoots(this.#root, [envelope]);
    if (root.version !== this.#root.version + 1) {
      throw new MusterError("trust/refused", `root ${root.version} is in force already; make the next one from it`);
    }
    if (root.expiresMs <= this.#clock.now()) throw new MusterError("trust/refused", "this root has expired already");
    const held = [this.#keys.current("director"), this.#keys.next("director")];
    if (!root.roles.director.keys.some(({ ed25519 }) => held.some((key) => key?.public.ed25519 === ed25519))) {
      const message = "this root names no director key of this hub, which could then direct no device";
      throw new MusterError("trust/refused", `${message}; begin with: muster key rotate director`);
    }
    await writeDurably(rootPath(this.#folder, root.version), JSON.stringify(envelope, undefined, 1), 0o644);
    this.#chain.push(envelope);
    this.#root = root;
    await this.#keys.follow(root);
    this.#log.info("trust.root.adopted", { version: root.version, expiresMs: root.expiresMs });
    return this.view();
  }

  #countersigned(envelope: Envelope): Envelope {
    const missing = [this.#keys.current("root"), this.#keys.next("root")]
      .filter((key) => key !== undefined)
      .filter((key) => !envelope.signatures.some(({ keyid }) => keyid === key.public.keyid));
    const { signatures } = seal(envelope.payloadType, Buffer.from(envelope.payload, "base64"), missing);
    return { ...envelope, signatures: [...envelope.signatures, ...signatures] };
  }
}

/** The first root, with a key of each role made here. The root is written last: without it nothing counts. */
async function beginChain(folder: string, keys: KeyFolder, nowMs: number): Promise<Envelope> {
  const made = new Map<Role, SigningKey>();
  for (const role of roles) made.set(role, await keys.make(role));
  const named = (role: Role) => ({
    keys: [...made].filter(([name]) => name === role).map(([, key]) => key.public),
    threshold: 1,
  });
  const root: Root = {
    version: 1,
    issuedMs: nowMs,
    expiresMs: nowMs + rootLifeMs,
    roles: { root: named("root"), release: named("release"), director: named("director") },
  };
  const envelope = seal(rootType, Buffer.from(JSON.stringify(root)), [made.get("root") as SigningKey]);
  await writeDurably(rootPath(folder, 1), JSON.stringify(envelope, undefined, 1), 0o644);
  return envelope;
}

function rootPath(folder: string, version: number): string {
  return join(folder, `root.${version}.json`);
}
