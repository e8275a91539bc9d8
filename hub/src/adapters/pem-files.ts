import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { MusterError, messageOf } from "@muster/shared";

/** The certificates of a PEM file, in its order. Throws `config/invalid` naming the field. */
export async function readCertificates(field: string, path: string): Promise<X509Certificate[]> {
  const blocks = pemBlocks(await readText(field, path), "CERTIFICATE");
  if (blocks.length === 0)
    throw wrong(field, `${path} holds no certificate; give a PEM file that begins with -----BEGIN CERTIFICATE-----`);
  return blocks.map((block) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw wrong(field, `${path} holds a damaged certificate (${messageOf(cause)}); export it again`);
    }
  });
}

/** The private key of a PEM file. Throws `config/invalid` naming the field. */
export async function readKey(field: string, path: string): Promise<KeyObject> {
  const text = await readText(field, path);
  try {
    return createPrivateKey(text);
  } catch (cause) {
    throw wrong(field, `${path} is no private key that can be read (${messageOf(cause)}); give an unencrypted PEM key`);
  }
}

/** The revocation lists of a PEM file. Throws `config/invalid` naming the field. */
export async function readCrls(field: string, path: string): Promise<string[]> {
  const blocks = pemBlocks(await readText(field, path), "X509 CRL");
  if (blocks.length === 0)
    throw wrong(field, `${path} holds no revocation list; give a PEM file that begins with -----BEGIN X509 CRL-----`);
  return blocks;
}

/**
 * Checks a CA and those above it: each a CA, signed by the next, none expired, the last signed by itself.
 * Throws `config/invalid` naming the field.
 */
export function checkAuthorities(field: string, chain: readonly X509Certificate[], nowMs: number): void {
  for (const [at, certificate] of chain.entries()) {
    const name = nameOf(certificate);
    if (!certificate.ca)
      throw wrong(field, `${name} is not the certificate of a CA; give the CA that signs the devices`);
    checkTime(field, certificate, nowMs);
    const above = chain[at + 1] ?? certificate;
    if (isSignedBy(certificate, above)) continue;
    const cure =
      above === certificate
        ? "append the certificates above it, up to the root"
        : "put each CA before the one that signed it";
    throw wrong(field, `${name} is not signed by ${above === certificate ? "itself" : nameOf(above)}; ${cure}`);
  }
}

/** Checks a listener's certificate against its key, the clock and the host. Throws `config/invalid` naming the field. */
export function checkServer(certificate: X509Certificate, key: KeyObject, host: string, nowMs: number): void {
  const field = "serverCertificate";
  checkTime(field, certificate, nowMs);
  checkKey("serverKey", certificate, key);
  const matches = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host);
  if (matches === undefined) {
    throw wrong(
      field,
      `it is for ${certificate.subjectAltName ?? nameOf(certificate)}, not for publicHost ${host}; change publicHost or have it issued for that name`,
    );
  }
  if (certificate.keyUsage !== undefined && !certificate.keyUsage.includes("1.3.6.1.5.5.7.3.1")) {
    throw wrong(field, "it is not for servers; have it issued with the extended key usage serverAuth");
  }
}

/** Throws `config/invalid` naming the key's field when the key is not that of the certificate. */
export function checkKey(field: string, certificate: X509Certificate, key: KeyObject): void {
  if (certificate.checkPrivateKey(key)) return;
  throw wrong(field, `it is not the key of ${nameOf(certificate)}; give the key the certificate was made for`);
}

/** Whether one certificate is signed by the key of another, which it names as its issuer. */
export function isSignedBy(certificate: X509Certificate, by: X509Certificate): boolean {
  return certificate.checkIssued(by) && certificate.verify(by.publicKey);
}

/** The name a person knows a certificate by. */
export function nameOf(certificate: X509Certificate): string {
  return `'${certificate.subject.replaceAll("\n", ", ")}'`;
}

/** What is wrong with a setting, and what to do about it. */
export function wrong(field: string, message: string): MusterError {
  return new MusterError("config/invalid", `${field}: ${message}`, { problems: [{ field, message }] });
}

function checkTime(field: string, certificate: X509Certificate, nowMs: number): void {
  if (Date.parse(certificate.validTo) <= nowMs) {
    throw wrong(field, `${nameOf(certificate)} has expired on ${certificate.validTo}; have it issued again`);
  }
  if (Date.parse(certificate.validFrom) > nowMs) {
    throw wrong(
      field,
      `${nameOf(certificate)} is valid only from ${certificate.validFrom}; check this machine's clock`,
    );
  }
}

async function readText(field: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw wrong(field, `${path} cannot be read (${messageOf(cause)}); check the path and who may read it`);
  }
}

function pemBlocks(text: string, label: string): string[] {
  return text.match(new RegExp(`-----BEGIN ${label}-----[\\s\\S]+?-----END ${label}-----`, "g")) ?? [];
}
