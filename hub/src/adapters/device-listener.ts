import { constants, X509Certificate } from "node:crypto";
import { createServer as createTcpServer, type Server as TcpServer } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { Admission, type AdmissionLimits } from "../core/admission.js";
import { normalSerial } from "../core/certificate-rules.js";
import { networkOf } from "../core/network.js";
import { listen } from "../listen.js";
import type { ListenerTls, PresentedCertificate } from "../ports.js";

/** Who is at the other end: what the verified certificate says, and where it comes from. */
export interface Peer {
  /** The certificate's common name. */
  readonly name: string | undefined;
  readonly certificate: PresentedCertificate;
  readonly address: string;
}

export interface DeviceListenerOptions {
  readonly tls: ListenerTls;
  readonly limits: AdmissionLimits;
  /** A device is through: its certificate is of our CA, in time and not on a revocation list. */
  readonly onDevice: (socket: TLSSocket, peer: Peer) => void;
  /** A connection was turned away; `count` names why. */
  readonly onRefused: (count: string, reason: string, address: string) => void;
}

const handshakeTimeoutMs = 10_000;
/** How long one that was turned away has to take the answer. */
const farewellMs = 1000;
/** "Not authorized", as MQTT says it: so that an honest device can tell a refusal from a broken network. */
const notAuthorized = Buffer.from([0x20, 0x02, 0x00, 0x05]);

/** Takes connections: caps by address first, then TLS, then the certificate. Nothing of MQTT is read before. */
export class DeviceListener {
  readonly #options: DeviceListenerOptions;
  readonly #admission: Admission;
  readonly #tcp: TcpServer;
  readonly #tls: Server;
  /** Every connection, also those in the middle of a handshake. */
  readonly #sockets = new Set<{ destroy(): unknown }>();
  #authorities: readonly X509Certificate[];

  constructor(options: DeviceListenerOptions) {
    this.#options = options;
    this.#admission = new Admission(options.limits);
    this.#authorities = certificatesOf(options.tls.ca);
    this.#tls = createServer(
      {
        ...contextOf(options.tls),
        requestCert: true,
        // Refused below instead, where the reason is known and can be told.
        rejectUnauthorized: false,
        handshakeTimeout: handshakeTimeoutMs,
      },
      (socket) => this.#onSecure(socket),
    );
    this.#tls.on("tlsClientError", (error: NodeJS.ErrnoException, socket) => {
      const count = error.code === "ERR_TLS_HANDSHAKE_TIMEOUT" ? "handshake-timeout" : "tls-handshake-failed";
      this.#refused(count, error.message, socket.remoteAddress);
    });
    this.#tcp = createTcpServer((socket) => {
      const address = socket.remoteAddress ?? "";
      const not = this.#admission.enter(networkOf(address), performance.now());
      if (not !== undefined) {
        this.#refused(not, "too many connections", address);
        socket.resetAndDestroy();
        return;
      }
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      socket.once("close", () => {
        this.#sockets.delete(socket);
        this.#admission.leave(networkOf(address), performance.now());
      });
      this.#tls.emit("connection", socket);
    });
  }

  /** Starts listening and returns the port. Throws `port/in-use`. */
  listen(host: string, port: number): Promise<number> {
    return listen(this.#tcp, host, port, "MQTT");
  }

  /** Shows and trusts this from the next connection on. */
  useTls(tls: ListenerTls): void {
    this.#tls.setSecureContext(contextOf(tls));
    this.#authorities = certificatesOf(tls.ca);
  }

  /** Ends every connection and listens no more. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#tcp.close(() => resolve()));
    // Not ended but destroyed: a device that does not read would never let an orderly end through.
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #onSecure(socket: TLSSocket): void {
    const address = socket.remoteAddress ?? "";
    const { subject, serialNumber, valid_from, valid_to } = socket.getPeerCertificate();
    const name = typeof subject?.CN === "string" ? subject.CN : undefined;
    if (!socket.authorized || serialNumber === undefined || !this.#isOurs(socket.getPeerX509Certificate())) {
      const problem = socket.authorized ? "signed by another CA of the same root" : String(socket.authorizationError);
      const code = serialNumber === undefined ? "no certificate" : problem;
      const certificate = serialNumber === undefined ? "" : ` (certificate ${serialNumber} of '${name}')`;
      this.#refused(countOf(code), `${code}${certificate}`, address);
      socket.on("error", () => undefined);
      socket.resume();
      socket.end(notAuthorized);
      setTimeout(() => socket.destroy(), farewellMs).unref();
      return;
    }
    const [fromMs, expiresMs] = [Date.parse(valid_from), Date.parse(valid_to)];
    const certificate = { serial: normalSerial(serialNumber), fromMs, expiresMs };
    this.#options.onDevice(socket, { name, certificate, address });
  }

  /** Below a root of the operator's there may be other CAs, for other things. */
  #isOurs(certificate: X509Certificate | undefined): boolean {
    if (certificate === undefined) return false;
    return this.#authorities.some((ca) => certificate.checkIssued(ca) && certificate.verify(ca.publicKey));
  }

  #refused(count: string, reason: string, address: string | undefined): void {
    this.#options.onRefused(count, reason, address ?? "");
  }
}

/** Without session tickets every connection shows its certificate, and what has been revoked since is seen. */
function contextOf({ certificate, privateKey, ca, crl }: ListenerTls) {
  return {
    ...{ key: privateKey, cert: certificate, ca, minVersion: "TLSv1.2" as const },
    ...(crl === undefined ? {} : { crl: [...crl] }),
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

function certificatesOf(pem: string): X509Certificate[] {
  return (pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []).map(
    (block) => new X509Certificate(block),
  );
}

function countOf(code: string): string {
  const counts: Record<string, string> = {
    "no certificate": "certificate-missing",
    CERT_HAS_EXPIRED: "certificate-expired",
    CERT_NOT_YET_VALID: "certificate-not-yet-valid",
    CERT_REVOKED: "certificate-revoked",
    CRL_HAS_EXPIRED: "crl-expired",
  };
  return counts[code] ?? "certificate-foreign";
}
