import {
  type BlobStore,
  type Bundle,
  type Clock,
  type Draft,
  type Envelope,
  type Log,
  Manifest,
  MusterError,
  manifestType,
  openDocument,
  type PushedVersion,
  type PushVersion,
  parseBundle,
  type SigningKey,
  seal,
  sha256,
  Turns,
} from "@muster/shared";
import type { BundleIntake, Unreleased } from "./bundle-intake.js";
import type { Catalog } from "./catalog.js";
import type { Encodings } from "./encodings.js";
import type { Database } from "./store/sql.js";
import type { Storing } from "./storing.js";
import type { Trust } from "./trust.js";

export interface PublishingDeps {
  readonly db: Database;
  readonly catalog: Catalog;
  readonly intake: BundleIntake;
  /** What clients have sent and no push has used yet. */
  readonly uploads: BlobStore;
  /** What makes shorter forms of what was pushed. */
  readonly encodings: Pick<Encodings, "kick">;
  readonly storing: Storing;
  readonly trust: Pick<Trust, "root" | "release">;
  readonly settings: { readonly clock: Clock; readonly log: Log; readonly maxArtifactBytes: number };
}

/** A push after its first checks. */
interface Checked {
  readonly bundle: Bundle;
  readonly used: Readonly<Record<string, string>>;
  readonly contentDigest: string;
  /** The version when exactly this was pushed before. */
  readonly known: PushedVersion | undefined;
}

const unusedMs = 86_400_000;

/** How a bundle becomes a signed version: by the hub's own release key, or by keys that never come here. */
export class Publishing {
  readonly #deps: PublishingDeps;
  /** One after the other: release numbers rise without gaps. */
  readonly #turns = new Turns();

  constructor(deps: PublishingDeps) {
    this.#deps = deps;
  }

  /** Size of an upload that is here, or undefined. */
  async uploaded(digest: string): Promise<number | undefined> {
    return this.#deps.uploads.size(digest);
  }

  /** Takes a file of a bundle. Throws `artifact/digest-mismatch`, `artifact/too-large` or `store/full`. */
  async upload(digest: string, bytes: AsyncIterable<Uint8Array>): Promise<number> {
    return this.#deps.uploads.write(digest, bytes, this.#deps.settings.maxArtifactBytes);
  }

  /**
   * Makes a version out of a bundle and signs it with the hub's release key. Pushing the same again changes nothing.
   * Throws `bundle/…` with every problem, `model/exists`, or `signature/key-needed`.
   */
  push(request: PushVersion): Promise<PushedVersion> {
    return this.#making(async () => {
      const checked = await this.#check(request);
      if (checked.known !== undefined) return checked.known;
      this.#releaseKey();
      const manifest = await this.#released(await this.#deps.intake.take(checked.bundle, checked.used, request));
      return this.#record(manifest, this.#seal(manifest), checked);
    });
  }

  /** The same up to the signature: what release keys outside of the hub have to sign. Throws as {@link push}. */
  draft(request: PushVersion): Promise<Draft | PushedVersion> {
    return this.#making(async () => {
      const checked = await this.#check(request);
      if (checked.known !== undefined) return checked.known;
      const manifest = await this.#released(await this.#deps.intake.take(checked.bundle, checked.used, request));
      return this.#keepDraft(manifest, checked);
    });
  }

  /**
   * Publishes the bytes of a version again under another name and a higher release: the way back to a version that
   * devices have left behind. Signed by the hub's release key. Throws `model/unknown`, `model/exists`, `signature/key-needed`.
   */
  republish(model: string, version: string, as: string): Promise<PushedVersion> {
    return this.#making(async () => {
      const { manifest, contentDigest } = await this.#again(model, version, as);
      return this.#record(manifest, this.#seal(manifest), { used: {}, contentDigest });
    });
  }

  /** The same up to the signature. Throws as {@link republish}. */
  redraft(model: string, version: string, as: string): Promise<Draft> {
    return this.#making(async () => {
      const { manifest, contentDigest } = await this.#again(model, version, as);
      return this.#keepDraft(manifest, { used: {}, contentDigest });
    });
  }

  /**
   * Makes a version out of a signed draft. Throws `signature/invalid` when the release keys of the root in force did
   * not sign it, `model/unknown` when there is no such draft, `model/exists` when another push came between.
   */
  sign(envelope: Envelope): Promise<PushedVersion> {
    return this.#making(async () => {
      const { db, catalog, trust } = this.#deps;
      const manifest = openDocument(Manifest, envelope, manifestType, trust.root.roles.release, "signed draft");
      const digest = sha256(Buffer.from(envelope.payload, "base64"));
      const draft = await db.selectFrom("drafts").selectAll().where("payload_digest", "=", digest).executeTakeFirst();
      if (draft === undefined) throw new MusterError("model/unknown", "no draft of these bytes is here; push again");
      if (manifest.release !== (await catalog.nextRelease(manifest.model))) {
        throw new MusterError("model/exists", `release ${manifest.release} of ${manifest.model} is taken; push again`);
      }
      const used = JSON.parse(draft.used) as Record<string, string>;
      const pushed = await this.#record(manifest, envelope, { used, contentDigest: draft.content_digest });
      await db.deleteFrom("drafts").where("payload_digest", "=", digest).execute();
      return pushed;
    });
  }

  /** Removes uploads and drafts that no push has used for a day; none that a push is using now. */
  forgetUnused(): Promise<void> {
    return this.#turns.take(async () => {
      const { uploads, db, settings } = this.#deps;
      const beforeMs = settings.clock.now() - unusedMs;
      for await (const { digest, modifiedMs } of uploads.list()) {
        if (modifiedMs < beforeMs) await uploads.delete(digest);
      }
      await db.deleteFrom("drafts").where("created_ms", "<", beforeMs).execute();
    });
  }

  /** Does something to a version while no push is under way. */
  whileStill<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.take(work);
  }

  /** One push after the other, and none while garbage is collected. */
  #making<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.take(() => this.#deps.storing.during(work));
  }

  async #check({ bundle: text, files, encrypt }: PushVersion): Promise<Checked> {
    const { catalog, intake } = this.#deps;
    const bundle = parseBundle(text);
    const used = await intake.usedFiles(bundle, files);
    const contentDigest = sha256(JSON.stringify([text, used, ...(encrypt ? ["encrypted"] : [])]));
    const before = await catalog.contentDigest(bundle.name, bundle.version);
    if (before === undefined) return { bundle, used, contentDigest, known: undefined };
    if (before === contentDigest) {
      const known = { ...(await catalog.get(bundle.name, bundle.version)), created: false };
      return { bundle, used, contentDigest, known };
    }
    const message = `version ${bundle.version} of ${bundle.name} was pushed before with other contents; give it a new version`;
    throw new MusterError("model/exists", message);
  }

  async #again(model: string, version: string, as: string): Promise<{ manifest: Manifest; contentDigest: string }> {
    const { catalog } = this.#deps;
    const { manifest: before, manifestDigest } = await catalog.get(model, version);
    if ((await catalog.contentDigest(model, as)) !== undefined) {
      throw new MusterError("model/exists", `version ${as} of ${model} is there already; give it another name: --as`);
    }
    const { release: _, createdMs: __, ...rest } = before;
    return {
      manifest: await this.#released({ ...rest, version: as }),
      contentDigest: sha256(JSON.stringify(["again", manifestDigest, as])),
    };
  }

  /** The hub's release key. Throws `signature/key-needed` when it lies elsewhere. */
  #releaseKey(): SigningKey {
    const { release } = this.#deps.trust;
    if (release !== undefined) return release;
    throw new MusterError(
      "signature/key-needed",
      "the release key is not on this hub; sign there where it is: --key FILE",
    );
  }

  #seal(manifest: Manifest): Envelope {
    return seal(manifestType, Buffer.from(JSON.stringify(manifest)), [this.#releaseKey()]);
  }

  async #keepDraft(
    manifest: Manifest,
    { used, contentDigest }: Pick<Checked, "used" | "contentDigest">,
  ): Promise<Draft> {
    const { db, settings } = this.#deps;
    const payload = Buffer.from(JSON.stringify(manifest));
    await db
      .insertInto("drafts")
      .values({
        payload_digest: sha256(payload),
        payload: payload.toString("base64"),
        content_digest: contentDigest,
        used: JSON.stringify(used),
        created_ms: settings.clock.now(),
      })
      .onConflict((conflict) => conflict.column("payload_digest").doNothing())
      .execute();
    return { payloadType: manifestType, payload: payload.toString("base64"), manifest };
  }

  async #released(unreleased: Unreleased): Promise<Manifest> {
    const { catalog, settings } = this.#deps;
    const { model, version, ...rest } = unreleased;
    const release = await catalog.nextRelease(model);
    return { model, version, release, createdMs: settings.clock.now(), ...rest };
  }

  async #record(
    manifest: Manifest,
    envelope: Envelope,
    { used, contentDigest }: Pick<Checked, "used" | "contentDigest">,
  ): Promise<PushedVersion> {
    const { catalog, intake, encodings, settings } = this.#deps;
    const pushed = await catalog.record(manifest, envelope, contentDigest);
    await intake.forget(used);
    encodings.kick();
    const { model, version, release } = manifest;
    const signedBy = envelope.signatures.map(({ keyid }) => keyid.slice(0, 12));
    settings.log.info("model.pushed", { model, version, release, signedBy });
    return { ...pushed, created: true };
  }
}
