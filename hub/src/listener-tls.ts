import { type Log, messageOf } from "@muster/shared";
import type { ListenerTls, Pki } from "./ports.js";

/** What the hub's listeners show, kept fresh while they run. */
export class ListenerCertificates {
  readonly #pki: Pki;
  readonly #log: Log;
  readonly #users = new Set<(tls: ListenerTls) => void>();
  #now: ListenerTls;

  private constructor(pki: Pki, log: Log, first: ListenerTls) {
    this.#pki = pki;
    this.#log = log;
    this.#now = first;
  }

  /** Throws `config/invalid`. */
  static async open(pki: Pki, log: Log): Promise<ListenerCertificates> {
    return new ListenerCertificates(pki, log, await pki.listenerTls());
  }

  get tls(): ListenerTls {
    return this.#now;
  }

  /** Calls the listener with what it is to show, whenever that has changed. */
  onChange(use: (tls: ListenerTls) => void): void {
    this.#users.add(use);
  }

  /** Looks whether there is something new; a file that does not fit changes nothing and is told. */
  async refresh(): Promise<void> {
    const next = await this.#pki.listenerTls().catch((error) => {
      this.#log.error("listener.certificate.unusable", { reason: messageOf(error) });
      return undefined;
    });
    if (next === undefined || JSON.stringify(next) === JSON.stringify(this.#now)) return;
    this.#now = next;
    for (const use of this.#users) use(next);
    this.#log.info("listener.certificate.changed");
  }
}
