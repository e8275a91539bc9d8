import {
  type Clock,
  type DeviceCertificate,
  type JoinRequest,
  type Log,
  MusterError,
  messageOf,
  type RenewalAnswer,
  type RenewalRequest,
  type RevokeCertificates,
} from "@muster/shared";
import { isRevoked, mayRenew, normalSerial, replaced } from "./core/certificate-rules.js";
import { Pace } from "./core/pace.js";
import type { Devices } from "./devices.js";
import type { EventLog } from "./events.js";
import type { Door, IssuedCertificate, OuterDoor, Pki, PresentedCertificate, Refusal } from "./ports.js";
import type { CertificateStore } from "./store/certificate-store.js";

export interface CertificatesDeps {
  readonly store: CertificateStore;
  readonly clock: Clock;
  readonly devices: Devices;
  readonly events: EventLog;
  readonly pki: Pki;
  readonly settings: {
    readonly log: Log;
    readonly deviceCertificateMs: number;
  };
}

/** Renewals of one device that go at once, and how many in the life of a certificate. */
const renewals = { burst: 5, perLife: 120 };
/** Whose certificates are kept under no device's name. */
const nobody = "";
/** How long a certificate of another CA is remembered as revoked that was never seen. */
const unseenMs = 10 * 365 * 86_400_000;

/** Which certificates open the door for each device, until when, and what comes after them. */
export class Certificates implements Door, OuterDoor {
  readonly #deps: CertificatesDeps;
  readonly #paces = new Map<string, Pace>();
  readonly #counters = { "renewal-refused": 0 };

  constructor(deps: CertificatesDeps) {
    this.#deps = deps;
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters };
  }

  refusal(device: string, { serial, expiresMs }: PresentedCertificate): Refusal | undefined {
    const { devices, pki, clock, store } = this.#deps;
    const nowMs = clock.now();
    if (!devices.has(device)) return { count: "device-unknown", reason: `device ${device} is not in this fleet` };
    if (expiresMs <= nowMs) {
      return { count: "certificate-expired", reason: `certificate ${serial} of ${device} has expired` };
    }
    const known = store.find(device, serial);
    if (known === undefined) {
      // Without a key of our own, what the CA signed for the name is good unless it was revoked.
      if (pki.authority === undefined) return undefined;
      return { count: "certificate-unknown", reason: `certificate ${serial} was not issued to ${device} by this hub` };
    }
    if (!isRevoked(known, nowMs)) return undefined;
    const reason = `certificate ${serial} of ${device} was revoked: ${known.reason ?? "no reason given"}`;
    return { count: "certificate-revoked", reason };
  }

  shut(device: string): Refusal | undefined {
    const { devices, pki, clock, store } = this.#deps;
    const nowMs = clock.now();
    if (!devices.has(device)) return { count: "device-unknown", reason: `device ${device} is not in this fleet` };
    const known = store.of(device).filter(({ expiresMs }) => expiresMs > nowMs);
    if (known.some((certificate) => !isRevoked(certificate, nowMs))) return undefined;
    const last = known.at(-1);
    if (last !== undefined) {
      const reason = `every certificate of ${device} was revoked: ${last.reason ?? "no reason given"}`;
      return { count: "certificate-revoked", reason };
    }
    // One that was brought is not known before it is seen.
    if (pki.authority === undefined) return undefined;
    return { count: "certificate-expired", reason: `every certificate of ${device} has expired` };
  }

  entered(device: string, { serial, expiresMs }: PresentedCertificate): void {
    const { clock, pki, settings, store } = this.#deps;
    const nowMs = clock.now();
    const known = store.find(device, serial);
    // Removed while it was connecting.
    if (known === undefined && pki.authority !== undefined) return;
    const unseen = { serial, issuedMs: nowMs, expiresMs, revokedMs: undefined, reason: undefined };
    // Who has come with its new certificate needs the old one no more.
    const before = store.of(device).filter((other) => known !== undefined && other.issuedMs < known.issuedMs);
    const ended = before.filter((other) => pki.authority !== undefined && !isRevoked(other, nowMs));
    const changed =
      known === undefined ? [unseen] : ended.map((other) => ({ ...other, revokedMs: nowMs, reason: "replaced" }));
    store.put(device, changed).catch((error) => settings.log.error("certificate.unstored", { device, error }));
  }

  /** The certificate for a device that joins: signed here, or brought along. Nothing is stored yet. Throws `request/invalid`. */
  async sign(
    device: string,
    { csr, certificate }: Pick<JoinRequest, "csr" | "certificate">,
  ): Promise<IssuedCertificate> {
    const { pki, store, clock } = this.#deps;
    if (pki.authority !== undefined) {
      if (csr !== undefined) return pki.authority.issueDevice(csr, device);
      throw new MusterError("request/invalid", "certificate: this hub signs itself; join without --certificate");
    }
    if (certificate === undefined) {
      throw new MusterError(
        "request/invalid",
        "csr: this hub does not sign; join with a certificate of your own: --certificate FILE --key FILE",
      );
    }
    const brought = pki.readBrought(certificate, device);
    const known = store.find(device, brought.serial);
    if (known !== undefined && isRevoked(known, clock.now())) {
      throw new MusterError("request/invalid", `certificate: ${brought.serial} was revoked: ${known.reason}`);
    }
    return brought;
  }

  /** The device speaks with this certificate from now on, and with no other. */
  async adopt(device: string, { serial, expiresMs }: IssuedCertificate): Promise<void> {
    const { store, clock } = this.#deps;
    const issuedMs = clock.now();
    const others = store.of(device).filter((known) => known.serial !== serial && !isRevoked(known, issuedMs));
    await store.put(device, [
      ...others.map((known) => ({ ...known, revokedMs: issuedMs, reason: "joined again" })),
      { serial, issuedMs, expiresMs, revokedMs: undefined, reason: undefined },
    ]);
  }

  /** Answers a connected device that asks for its next certificate; what counts is the one it proves to have now. */
  async renew(device: string, { request, csr, certificate: present, proof }: RenewalRequest): Promise<RenewalAnswer> {
    const { pki, clock, events, settings, store } = this.#deps;
    try {
      if (pki.authority === undefined) throw refused("this hub does not sign certificates");
      if (present === undefined || proof === undefined)
        throw refused("the agent is too old to prove its certificate; update it");
      const presented = pki.readProven({ request, csr, certificate: present, proof }, device);
      this.#mayRenew(device, presented);
      const issued = await pki.authority.issueDevice(csr, device);
      // While it was signed, the device may have been revoked.
      const since = this.refusal(device, presented);
      if (since !== undefined) throw refused(since.reason);
      const nowMs = clock.now();
      const ends = new Map(
        replaced(store.of(device), presented.serial, nowMs).map((end) => [end.serial, end.revokedMs]),
      );
      const { certificate, serial, expiresMs } = issued;
      await store.drop(device, (known) => known.expiresMs <= nowMs);
      await store.put(device, [
        ...store
          .of(device)
          .filter((known) => ends.has(known.serial))
          .map((known) => ({ ...known, revokedMs: ends.get(known.serial), reason: "replaced" })),
        { serial, issuedMs: nowMs, expiresMs, revokedMs: undefined, reason: undefined },
      ]);
      await events.append(device, "certificate.renewed", { serial, expiresMs, before: presented.serial });
      settings.log.info("certificate.renewed", { device, serial, expiresMs });
      return { type: "certificate", request, certificate, ca: pki.serverCa };
    } catch (error) {
      if (!(error instanceof MusterError)) throw error;
      this.#counters["renewal-refused"] += 1;
      settings.log.warn("certificate.renewal.refused", { device, reason: messageOf(error) });
      return { type: "renewal-refused", request, reason: messageOf(error) };
    }
  }

  /** Refuses certificates of the device from now on. Throws `device/unknown`, `certificate/unknown`. */
  async revoke(device: string, { serial, reason }: RevokeCertificates): Promise<void> {
    const { clock, devices, pki, events, settings, store } = this.#deps;
    await devices.get(device);
    const nowMs = clock.now();
    const wanted = serial === undefined ? undefined : normalSerial(serial);
    const found = store.of(device).filter((known) => wanted === undefined || known.serial === wanted);
    if (wanted !== undefined && found.length === 0) {
      if (pki.authority !== undefined) {
        const message = `device ${device} has no certificate ${wanted}; see: muster device show ${device}`;
        throw new MusterError("certificate/unknown", message);
      }
      const unseen = { serial: wanted, issuedMs: nowMs, expiresMs: nowMs + unseenMs };
      found.push({ ...unseen, revokedMs: undefined, reason: undefined });
    }
    const ended = found.filter((known) => !isRevoked(known, nowMs));
    const serials = ended.map((known) => known.serial);
    await store.put(
      device,
      ended.map((known) => ({ ...known, revokedMs: nowMs, reason })),
    );
    await events.append(device, "certificate.revoked", { serials, reason });
    settings.log.warn("certificate.revoked", { device, serials, reason });
  }

  /** What the device has and had, oldest first, without what has expired. */
  list(device: string): DeviceCertificate[] {
    const nowMs = this.#deps.clock.now();
    return this.#deps.store
      .of(device)
      .filter(({ expiresMs }) => expiresMs > nowMs)
      .map(({ revokedMs, reason, ...known }) => ({
        ...known,
        ...(revokedMs === undefined ? {} : { revokedMs }),
        ...(reason === undefined ? {} : { reason }),
      }));
  }

  /**
   * Forgets a device that was removed; what was revoked stays so, should the name come back. Only the serial numbers of its
   * other certificates are kept, for a revocation list.
   */
  async forget(device: string): Promise<void> {
    const { clock, store } = this.#deps;
    const nowMs = clock.now();
    this.#paces.delete(device);
    const good = store.of(device).filter((known) => !isRevoked(known, nowMs));
    await store.put(
      nobody,
      good.map((known) => ({ ...known, revokedMs: nowMs, reason: "removed" })),
    );
    await store.drop(device, (known) => !isRevoked(known, nowMs));
    await store.drop(nobody, (known) => known.expiresMs <= nowMs);
  }

  /** All that is revoked and has not expired, of devices of the fleet and of others. */
  revoked(): { readonly device: string; readonly serial: string; readonly revokedMs: number }[] {
    const nowMs = this.#deps.clock.now();
    return this.#deps.store.all().flatMap(({ device, serial, revokedMs, expiresMs }) => {
      const counts = revokedMs !== undefined && revokedMs <= nowMs && expiresMs > nowMs;
      return counts ? [{ device, serial, revokedMs }] : [];
    });
  }

  /** Throws `renewal/refused` when the certificate may not be renewed now. */
  #mayRenew(device: string, presented: PresentedCertificate): void {
    const nowMs = this.#deps.clock.now();
    const refusal = this.refusal(device, presented);
    if (refusal !== undefined) throw refused(refusal.reason);
    if (!mayRenew(presented.fromMs, presented.expiresMs, nowMs)) {
      throw refused("more than half of the present certificate's life is left");
    }
    const perSecond = (1000 * renewals.perLife) / this.#deps.settings.deviceCertificateMs;
    const pace = this.#paces.get(device) ?? new Pace(perSecond, nowMs, renewals.burst);
    this.#paces.set(device, pace);
    if (!pace.free(nowMs)) throw refused("too many renewals in a short time");
    pace.take(1, nowMs);
  }
}

function refused(reason: string): MusterError {
  return new MusterError("renewal/refused", reason);
}
