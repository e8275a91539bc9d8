import { randomUUID } from "node:crypto";
import {
  backoffMs,
  type Clock,
  type Log,
  MusterError,
  messageOf,
  type ProvenRenewal,
  proveRenewal,
  type RenewalAnswer,
} from "@muster/shared";
import { renewAtMs, renewalBackoff } from "./core/renewal-time.js";
import { type Credentials, checkCertificate, readCertificate } from "./identity-store.js";

export interface RenewalDeps {
  /** The stored identity, read again each time, and how to replace it. */
  readonly identity: {
    load(): Promise<Credentials>;
    replace(next: { certificate: string; ca: string; privateKey: string }): Promise<void>;
  };
  readonly link: {
    readonly connected: boolean;
    renew(request: ProvenRenewal): Promise<void>;
    /** Ends the connection and opens it again with the stored identity. */
    reconnect(): Promise<void>;
  };
  readonly newKeyAndRequest: (device: string) => Promise<{ privateKey: string; csr: string }>;
  readonly clock: Clock;
  readonly log: Log;
  readonly tell: (kind: string, fields: Record<string, unknown>) => Promise<void>;
}

/** A clock may be set while we sleep, so the time is looked at again at least so often. */
const longestSleepMs = 3_600_000;
const answerMs = 30_000;

/** Replaces this device's certificate in good time, with a new key each time. */
export class Renewal {
  readonly #deps: RenewalDeps;
  readonly #stop = new AbortController();
  #waiting: { request: string; take: (answer: RenewalAnswer) => void } | undefined;
  #running: Promise<void> = Promise.resolve();
  #told = false;

  constructor(deps: RenewalDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#running = this.#run().catch((error) => {
      if (!this.#stop.signal.aborted) this.#deps.log.error("identity.renewal.stopped", { error });
    });
  }

  /** The hub has answered; an answer to an earlier try is ignored. */
  take(answer: RenewalAnswer): void {
    if (this.#waiting?.request === answer.request) this.#waiting.take(answer);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { identity, link, clock, log, tell } = this.#deps;
    const { signal } = this.#stop;
    for (let attempt = 0; !signal.aborted; ) {
      const credentials = await identity.load();
      // Whoever brought the certificate renews it; its files are read again at every connect.
      if (credentials.certificateFile !== undefined) return;
      const validity = readCertificate(credentials.certificate);
      const leftMs = renewAtMs(validity) - clock.now();
      if (leftMs > 0 || !link.connected) {
        if (clock.now() > validity.expiresMs) this.#tellExpired(credentials.device);
        await clock.sleep(leftMs > 0 ? Math.min(leftMs, longestSleepMs) : 1000, signal);
        continue;
      }
      try {
        await this.#renew(credentials);
        attempt = 0;
      } catch (error) {
        if (signal.aborted) return;
        const waitMs = backoffMs(renewalBackoff(validity), attempt, Math.random());
        attempt += 1;
        const fields = { reason: messageOf(error), expiresMs: validity.expiresMs };
        log.warn("identity.renewal-failed", { ...fields, retryInMs: Math.round(waitMs) });
        await tell("identity.renewal-failed", fields);
        await clock.sleep(waitMs, signal);
      }
    }
  }

  async #renew(credentials: Credentials): Promise<void> {
    const { identity, link, newKeyAndRequest, clock, log, tell } = this.#deps;
    const { device } = credentials;
    const { privateKey, csr } = await newKeyAndRequest(device);
    const request = randomUUID();
    log.info("identity.renewing", { request });
    const answered = this.#answerTo(request);
    const { certificate: present } = credentials;
    const proof = proveRenewal({ request, csr }, credentials.privateKey);
    await Promise.all([link.renew({ request, csr, certificate: present, proof }), answered]);
    const answer = await answered;
    if (answer.type === "renewal-refused") throw new MusterError("renewal/refused", answer.reason);
    const { certificate, ca } = answer;
    checkCertificate(certificate, device, privateKey, clock.now());
    await identity.replace({ certificate, ca, privateKey });
    const { serial, expiresMs } = readCertificate(certificate);
    log.info("identity.renewed", { serial, expiresMs });
    await tell("identity.renewed", { serial, expiresMs, before: readCertificate(credentials.certificate).serial });
    await link.reconnect();
  }

  async #answerTo(request: string): Promise<RenewalAnswer> {
    const { clock } = this.#deps;
    const inTime = new AbortController();
    const answer = new Promise<RenewalAnswer>((take) => {
      this.#waiting = { request, take };
    });
    const late = clock.sleep(answerMs, AbortSignal.any([inTime.signal, this.#stop.signal])).then(() => {
      throw new MusterError("hub/unreachable", `no answer from the hub for ${answerMs / 1000} s`);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      this.#waiting = undefined;
      inTime.abort();
      late.catch(() => undefined);
    }
  }

  #tellExpired(device: string): void {
    if (this.#told) return;
    this.#told = true;
    const cure = `on the hub: muster device invite --device ${device} --again; here: the printed line`;
    this.#deps.log.error("identity.expired", { device, cure });
  }
}
