import { createHash, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { type Clock, isProvenRenewal, MusterError, messageOf, type ProvenRenewal } from "@muster/shared";
import { normalSerial } from "../core/certificate-rules.js";
import type { CertificateAuthority, IssuedCertificate, ListenerTls, Pki, PresentedCertificate } from "../ports.js";
import {
  checkAuthorities,
  checkKey,
  checkServer,
  isSignedBy,
  nameOf,
  readCertificates,
  readCrls,
  readKey,
  wrong,
} from "./pem-files.js";
import { broughtAuthority, openAuthority } from "./x509-ca.js";

export interface PkiFiles {
  readonly caCertificate?: string | undefined;
  readonly caKey?: string | undefined;
  readonly caCrl?: string | undefined;
  readonly serverCertificate?: string | undefined;
  readonly serverKey?: string | undefined;
}

export interface PkiOptions {
  /** Where a CA of our own lies, or is made. */
  readonly folder: string;
  /** What the operator brings instead. */
  readonly files: PkiFiles;
  readonly publicHost: string;
  readonly deviceCertificateMs: number;
  readonly clock: Pick<Clock, "now">;
}

/**
 * The CA behind devices and listeners: our own; a CA that was brought with its key; or one without its
 * key, with a certificate for the listeners. Everything is checked. Throws `config/invalid`.
 */
export async function openPki(options: PkiOptions): Promise<Pki> {
  const { folder, files, clock, deviceCertificateMs } = options;
  const settings = { clock, deviceMs: deviceCertificateMs };
  if (files.caCertificate === undefined) {
    for (const field of ["caKey", "caCrl", "serverCertificate", "serverKey"] as const) {
      if (files[field] !== undefined)
        throw wrong(field, "it needs caCertificate beside it; give the CA's certificate too");
    }
    const own = await openAuthority(folder, settings);
    return new HubPki(options, [new X509Certificate(own.certificate)], own);
  }
  if ((files.serverCertificate === undefined) !== (files.serverKey === undefined)) {
    const field = files.serverCertificate === undefined ? "serverCertificate" : "serverKey";
    throw wrong(field, "serverCertificate and serverKey belong together; give both");
  }
  const chain = await readCertificates("caCertificate", files.caCertificate);
  checkAuthorities("caCertificate", chain, clock.now());
  if (files.caKey === undefined) {
    if (files.serverCertificate === undefined) {
      const cure = "give caKey, so that Muster signs, or serverCertificate and serverKey, so that it never does";
      throw wrong("caCertificate", `it is here without its key; ${cure}`);
    }
    return new HubPki(options, chain, undefined);
  }
  const key = await readKey("caKey", files.caKey);
  if (chain[0] !== undefined) checkKey("caKey", chain[0], key);
  return new HubPki(options, chain, await broughtAuthority(chain.map(String).join("\n"), key, settings));
}

class HubPki implements Pki {
  readonly authority: CertificateAuthority | undefined;
  readonly #options: PkiOptions;
  readonly #chain: readonly X509Certificate[];
  #root: X509Certificate | undefined;
  #issued: { certificate: string; privateKey: string; untilMs: number } | undefined;

  constructor(options: PkiOptions, chain: readonly X509Certificate[], authority: CertificateAuthority | undefined) {
    this.#options = options;
    this.#chain = chain;
    this.authority = authority;
    this.#root = chain.at(-1);
  }

  get serverCa(): string {
    return String(this.#root);
  }

  get pin(): string {
    return createHash("sha256")
      .update(this.#root?.raw ?? "")
      .digest("base64url");
  }

  async listenerTls(): Promise<ListenerTls> {
    const { files } = this.#options;
    const { serverCertificate, serverKey, caCrl } = files;
    const crl = caCrl === undefined ? undefined : await readCrls("caCrl", caCrl);
    checkCrl(crl);
    const server =
      serverCertificate !== undefined && serverKey !== undefined
        ? await this.#broughtServer(serverCertificate, serverKey)
        : await this.#ownServer();
    const { certificate, privateKey } = server;
    return { certificate, privateKey, ca: this.#chain.map(String).join("\n"), ...(crl === undefined ? {} : { crl }) };
  }

  readBrought(text: string, device: string): IssuedCertificate {
    const certificate = this.#ofDevice(text, device);
    return {
      certificate: text,
      serial: normalSerial(certificate.serialNumber),
      expiresMs: Date.parse(certificate.validTo),
    };
  }

  readProven(request: ProvenRenewal, device: string): PresentedCertificate {
    const { serialNumber, validFrom, validTo } = this.#ofDevice(request.certificate, device);
    if (!isProvenRenewal(request)) {
      throw new MusterError("request/invalid", "proof: it was not made with the key of the certificate");
    }
    return { serial: normalSerial(serialNumber), fromMs: Date.parse(validFrom), expiresMs: Date.parse(validTo) };
  }

  #ofDevice(text: string, device: string): X509Certificate {
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(text);
    } catch (cause) {
      throw refusedCertificate(`not a certificate in PEM: ${messageOf(cause)}`);
    }
    const names = certificate.subject.split("\n").filter((part) => part.startsWith("CN="));
    if (names.length !== 1 || names[0] !== `CN=${device}`) {
      throw refusedCertificate(`it is for ${nameOf(certificate)}, expected the common name '${device}'`);
    }
    if (!this.#chain.some((ca) => isSignedBy(certificate, ca))) {
      throw refusedCertificate("it is not signed by the CA of this hub");
    }
    if (Date.parse(certificate.validTo) <= this.#options.clock.now())
      throw refusedCertificate(`it has expired on ${certificate.validTo}`);
    return certificate;
  }

  /** A certificate of our own for the listeners, made anew when a third of its life is left. */
  async #ownServer(): Promise<{ certificate: string; privateKey: string }> {
    const nowMs = this.#options.clock.now();
    if (this.#issued !== undefined && nowMs < this.#issued.untilMs) return this.#issued;
    if (this.authority === undefined) throw wrong("serverCertificate", "it is missing");
    const made = await this.authority.issueServer([...new Set([this.#options.publicHost, "localhost", "127.0.0.1"])]);
    const lifeMs = Date.parse(new X509Certificate(made.certificate).validTo) - nowMs;
    this.#issued = { ...made, untilMs: nowMs + (lifeMs * 2) / 3 };
    return made;
  }

  async #broughtServer(certificatePath: string, keyPath: string): Promise<{ certificate: string; privateKey: string }> {
    const { publicHost, clock } = this.#options;
    const given = await readCertificates("serverCertificate", certificatePath);
    const key = await readKey("serverKey", keyPath);
    const [leaf, ...above] = given;
    if (leaf === undefined) throw wrong("serverCertificate", "it is empty");
    checkServer(leaf, key, publicHost, clock.now());
    // Either the file ends in a root of its own, or the CA of the devices leads there.
    const last = given.at(-1) ?? leaf;
    const missing = isSignedBy(last, last) ? [] : this.#above(last);
    const chain = [...above, ...missing];
    checkAuthorities("serverCertificate", chain, clock.now());
    this.#root = chain.at(-1) ?? leaf;
    const certificate = [leaf, ...chain].map(String).join("\n");
    return { certificate, privateKey: String(key.export({ type: "pkcs8", format: "pem" })) };
  }

  /** The rest of the chain above a certificate, out of the CA that was given. */
  #above(certificate: X509Certificate): readonly X509Certificate[] {
    const at = this.#chain.findIndex((ca) => isSignedBy(certificate, ca));
    if (at >= 0) return this.#chain.slice(at);
    const cure = "append the certificates above it, up to the root, to the file";
    throw wrong("serverCertificate", `${nameOf(certificate)} is not signed by caCertificate; ${cure}`);
  }
}

function checkCrl(crl: readonly string[] | undefined): void {
  if (crl === undefined) return;
  try {
    createSecureContext({ crl: [...crl] });
  } catch (cause) {
    throw wrong("caCrl", `it holds a damaged revocation list (${messageOf(cause)}); export it again`);
  }
}

function refusedCertificate(message: string): MusterError {
  return new MusterError("request/invalid", `certificate: ${message}`);
}
