import "reflect-metadata";
import { createHash, randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import { MusterError, messageOf } from "@muster/shared";
import { readIfThere, writeDurably } from "@muster/shared/node";
import * as x509 from "@peculiar/x509";
import type { CertificateAuthority } from "../ports.js";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const dayMs = 86_400_000;
const caDays = 3650;
const serverDays = 825;
const deviceDays = 90;

/** Opens the device CA in the folder, and makes it there the first time: P-256, key file mode 0600. */
export async function openAuthority(folder: string, nowMs: number): Promise<CertificateAuthority> {
  x509.cryptoProvider.set(webcrypto as Parameters<typeof x509.cryptoProvider.set>[0] & typeof webcrypto);
  const keyPath = join(folder, "ca.key.pem");
  const certificatePath = join(folder, "ca.crt.pem");
  const certificateText = await readIfThere(certificatePath);
  const keyText = await readIfThere(keyPath);
  if (certificateText !== undefined && keyText !== undefined) {
    return new Authority(new x509.X509Certificate(certificateText), await importKey(keyText));
  }
  if (certificateText !== undefined) {
    throw new MusterError(
      "store/damaged",
      `${certificatePath} is there but ${keyPath} is not; restore it from a backup`,
    );
  }
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: "CN=Muster device CA",
    notBefore: new Date(nowMs - dayMs),
    notAfter: new Date(nowMs + caDays * dayMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  await writeDurably(keyPath, await exportKey(keys.privateKey));
  await writeDurably(certificatePath, certificate.toString("pem"), 0o644);
  return new Authority(certificate, keys.privateKey);
}

class Authority implements CertificateAuthority {
  readonly certificate: string;
  readonly pin: string;
  readonly #certificate: x509.X509Certificate;
  readonly #key: webcrypto.CryptoKey;

  constructor(certificate: x509.X509Certificate, key: webcrypto.CryptoKey) {
    this.#certificate = certificate;
    this.#key = key;
    this.certificate = certificate.toString("pem");
    this.pin = createHash("sha256").update(new Uint8Array(certificate.rawData)).digest("base64url");
  }

  async issueServer(hosts: readonly string[]): Promise<{ certificate: string; privateKey: string }> {
    const keys = await generateKeys();
    const names = hosts.map((host) => ({ type: isIP(host) === 0 ? ("dns" as const) : ("ip" as const), value: host }));
    const certificate = await this.#issue("CN=Muster hub", keys.publicKey, serverDays, [
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(names),
    ]);
    return {
      certificate: `${certificate.toString("pem")}\n${this.certificate}`,
      privateKey: await exportKey(keys.privateKey),
    };
  }

  async issueDevice(csr: string, device: string): Promise<{ certificate: string; serial: string }> {
    const request = await readRequest(csr);
    const names = request.subjectName.getField("CN");
    if (names.length !== 1 || names[0] !== device) {
      throw new MusterError(
        "request/invalid",
        `csr: its common name is '${names.join(", ")}', expected the device's name '${device}'`,
      );
    }
    const certificate = await this.#issue(`CN=${device}`, await request.publicKey.export(), deviceDays, [
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
    ]);
    return { certificate: certificate.toString("pem"), serial: certificate.serialNumber.toLowerCase() };
  }

  async #issue(
    subject: string,
    publicKey: webcrypto.CryptoKey,
    days: number,
    extensions: x509.Extension[],
  ): Promise<x509.X509Certificate> {
    const nowMs = Date.now();
    return x509.X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject,
      issuer: this.#certificate.subject,
      // A device's clock may be behind.
      notBefore: new Date(nowMs - dayMs),
      notAfter: new Date(nowMs + days * dayMs),
      signingAlgorithm: algorithm,
      publicKey,
      signingKey: this.#key,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        await x509.AuthorityKeyIdentifierExtension.create(this.#certificate.publicKey),
        ...extensions,
      ],
    });
  }
}

async function readRequest(csr: string): Promise<x509.Pkcs10CertificateRequest> {
  let request: x509.Pkcs10CertificateRequest;
  try {
    request = new x509.Pkcs10CertificateRequest(csr);
  } catch (cause) {
    throw new MusterError("request/invalid", `csr: not a PKCS#10 request in PEM: ${messageOf(cause)}`, { cause });
  }
  const { name, namedCurve } = request.publicKey.algorithm as webcrypto.EcKeyAlgorithm;
  if (name !== "ECDSA" || namedCurve !== "P-256") {
    throw new MusterError("request/invalid", `csr: the key is ${name} ${namedCurve ?? ""}, expected ECDSA P-256`);
  }
  if (!(await request.verify())) throw new MusterError("request/invalid", "csr: not signed by its own key");
  return request;
}

/** 16 random bytes, positive, as hex: what browsers and RFC 5280 accept. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as Promise<webcrypto.CryptoKeyPair>;
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY");
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey("pkcs8", x509.PemConverter.decodeFirst(pem), algorithm, true, ["sign"]);
}
