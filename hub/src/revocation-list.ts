import { type Clock, type Log, MusterError, messageOf } from "@muster/shared";
import { writeDurably } from "@muster/shared/node";
import type { Certificates } from "./certificates.js";
import type { HubConfig } from "./config.js";
import type { CertificateAuthority, DeviceLink, Pki } from "./ports.js";

export interface RevocationListDeps {
  readonly certificates: Pick<Certificates, "revoked">;
  readonly authority: Pick<CertificateAuthority, "issueCrl">;
  readonly link: Pick<DeviceLink, "kick">;
  readonly clock: Pick<Clock, "steady">;
  /** The file, PEM, that the broker reads. */
  readonly path: string;
  readonly log: Log;
}

/** OpenSSL takes the newer of two lists by their second. */
const betweenMs = 1100;
/** How long the broker has to read a new list, before connections that it refuses are ended. */
const readMs = 5000;

/** Keeps a file of what is revoked for a broker elsewhere, which checks certificates itself. */
export class RevocationList {
  readonly #deps: RevocationListDeps;
  /** Serial numbers in the file; undefined before it was first written. */
  #listed: ReadonlySet<string> | undefined;
  #writtenMs = Number.NEGATIVE_INFINITY;
  readonly #toEnd: string[] = [];

  constructor(deps: RevocationListDeps) {
    this.#deps = deps;
  }

  /** The list that the configuration asks for, if it does. Throws `config/invalid` when it cannot be made here. */
  static of(
    { broker, caCrl }: HubConfig,
    { authority }: Pki,
    deps: Omit<RevocationListDeps, "path" | "authority">,
  ): RevocationList | undefined {
    if (broker?.crlFile === undefined) return undefined;
    if (authority !== undefined && caCrl === undefined) {
      return new RevocationList({ ...deps, authority, path: broker.crlFile });
    }
    const message = "the list of this CA is made elsewhere (caCrl, or no caKey); give that one to the broker instead";
    throw new MusterError("config/invalid", `broker.crlFile: ${message}`);
  }

  /** Writes the list when it has changed; a while later, ends connections that were opened with what is on it since. */
  async refresh(): Promise<void> {
    const { certificates, authority, link, clock, path, log } = this.#deps;
    const nowMs = clock.steady();
    if (nowMs - this.#writtenMs >= readMs) for (const device of this.#toEnd.splice(0)) link.kick(device);
    const revoked = new Map(certificates.revoked().map((entry) => [entry.serial, entry]));
    const before = this.#listed;
    const added = [...revoked.values()].filter(({ serial }) => before?.has(serial) !== true);
    const changed = before === undefined || added.length > 0;
    if (!changed || nowMs - this.#writtenMs < betweenMs) return;
    try {
      await writeDurably(path, await authority.issueCrl([...revoked.values()]), 0o644);
    } catch (error) {
      log.error("revocations.unwritten", { path, reason: messageOf(error) });
      return;
    }
    this.#writtenMs = nowMs;
    this.#listed = new Set(revoked.keys());
    // Those of the first list may have been there before this start, and their connections ended then.
    if (before !== undefined) this.#toEnd.push(...added.map(({ device }) => device).filter((device) => device !== ""));
    log.info("revocations.written", { path, certificates: revoked.size });
  }
}
