import "reflect-metadata";
import { createHash, type KeyObject, randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import { type Clock, MusterError, messageOf } from "@muster/shared";
import { readIfThere, writeDurably } from "@muster/shared/node";
import * as x509 from "@peculiar/x509";
import { normalSerial } from "../core/certificate-rules.js";
import type { CertificateAuthority, IssuedCertificate } from "../ports.js";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const dayMs = 86_400_000;
const caDays = 3650;
const serverDays = 825;
/** A connection that the hub opens asks for a new certificate each time. */
const clientMs = 3_600_000;

export interface AuthoritySettings {
  readonly clock: Pick<Clock, "now">;
  /** How long a device's certificate is valid. */
  readonly deviceMs: number;
}

/** Opens the device CA in the folder, and makes it there the first time: P-256, key file mode 0600. */
export async function openAuthority(folder: string, settings: AuthoritySettings): Promise<CertificateAuthority> {
  useNodeCrypto();
  const nowMs = settings.clock.now();
  const keyPath = join(folder, "ca.key.pem");
  const certificatePath = join(folder, "ca.crt.pem");
  const certificateText = await readIfThere(certificatePath);
  const keyText = await readIfThere(keyPath);
  if (certificateText !== undefined && keyText !== undefined) {
    const key = await importKey(x509.PemConverter.decodeFirst(keyText), algorithm);
    return new Authority(certificateText, { key, signing: algorithm }, settings);
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
  return new Authority(certificate.toString("pem"), { key: keys.privateKey, signing: algorithm }, settings);
}

/**
 * A CA that was brought along: its certificate, followed by those above it up to the root, and its key.
 * Throws `config/invalid` for a kind of key that cannot sign here.
 */
export async function broughtAuthority(
  chain: string,
  key: KeyObject,
  settings: AuthoritySettings,
): Promise<CertificateAuthority> {
  useNodeCrypto();
  const signing = signingOf(key);
  const der = new Uint8Array(key.export({ type: "pkcs8", format: "der" }));
  return new Authority(chain, { key: await importKey(der.buffer, signing), signing }, settings);
}

interface Signer {
  readonly key: webcrypto.CryptoKey;
  readonly signing: { name: string; hash: string; namedCurve?: string };
}

class Authority implements CertificateAuthority {
  readonly certificate: string;
  readonly pin: string;
  readonly #certificate: x509.X509Certificate;
  readonly #signer: Signer;
  readonly #settings: AuthoritySettings;

  constructor(chain: string, signer: Signer, settings: AuthoritySettings) {
    const certificates = x509.PemConverter.decode(chain).map((raw) => new x509.X509Certificate(raw));
    const [own, root] = [certificates[0], certificates.at(-1)];
    if (own === undefined || root === undefined) throw new MusterError("store/damaged", "the CA has no certificate");
    this.#certificate = own;
    this.#signer = signer;
    this.#settings = settings;
    this.certificate = certificates.map((each) => each.toString("pem")).join("\n");
    this.pin = createHash("sha256").update(new Uint8Array(root.rawData)).digest("base64url");
  }

  async issueServer(hosts: readonly string[]): Promise<{ certificate: string; privateKey: string }> {
    const keys = await generateKeys();
    const names = hosts.map((host) => ({ type: isIP(host) === 0 ? ("dns" as const) : ("ip" as const), value: host }));
    const certificate = await this.#issue("CN=Muster hub", keys.publicKey, serverDays * dayMs, [
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(names),
    ]);
    return {
      certificate: `${certificate.toString("pem")}\n${this.certificate}`,
      privateKey: await exportKey(keys.privateKey),
    };
  }

  async issueDevice(csr: string, device: string): Promise<IssuedCertificate> {
    const request = await readRequest(csr);
    const names = request.subjectName.getField("CN");
    if (names.length !== 1 || names[0] !== device) {
      throw new MusterError(
        "request/invalid",
        `csr: its common name is '${names.join(", ")}', expected the device's name '${device}'`,
      );
    }
    const certificate = await this.#issue(`CN=${device}`, await request.publicKey.export(), this.#settings.deviceMs, [
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
    ]);
    return {
      certificate: certificate.toString("pem"),
      serial: normalSerial(certificate.serialNumber),
      expiresMs: certificate.notAfter.getTime(),
    };
  }

  async issueClient(name: string): Promise<{ certificate: string; privateKey: string }> {
    const keys = await generateKeys();
    const certificate = await this.#issue(`CN=${name}`, keys.publicKey, clientMs, [
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
    ]);
    return { certificate: certificate.toString("pem"), privateKey: await exportKey(keys.privateKey) };
  }

  async issueCrl(revoked: readonly { readonly serial: string; readonly revokedMs: number }[]): Promise<string> {
    const crl = await x509.X509CrlGenerator.create({
      issuer: this.#certificate.subject,
      // A broker's clock may be behind.
      thisUpdate: new Date(this.#settings.clock.now() - clientMs),
      nextUpdate: this.#certificate.notAfter,
      entries: revoked.map(({ serial, revokedMs }) => ({
        serialNumber: serial.padStart(serial.length + (serial.length % 2), "0"),
        revocationDate: new Date(revokedMs),
      })),
      signingAlgorithm: this.#signer.signing,
      signingKey: this.#signer.key,
    });
    // The library writes a label of its own, which OpenSSL does not know.
    return x509.PemConverter.encode(crl.rawData, "X509 CRL");
  }

  async #issue(
    subject: string,
    publicKey: webcrypto.CryptoKey,
    lifeMs: number,
    extensions: x509.Extension[],
  ): Promise<x509.X509Certificate> {
    const nowMs = this.#settings.clock.now();
    const lastMs = this.#certificate.notAfter.getTime();
    return x509.X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject,
      issuer: this.#certificate.subject,
      // A device's clock may be behind.
      notBefore: new Date(nowMs - Math.min(dayMs, lifeMs)),
      notAfter: new Date(Math.min(nowMs + lifeMs, lastMs)),
      signingAlgorithm: this.#signer.signing,
      publicKey,
      signingKey: this.#signer.key,
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

async function importKey(pkcs8: ArrayBuffer, signing: Signer["signing"]): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey("pkcs8", pkcs8, signing, true, ["sign"]);
}

/** How a key of this kind signs. */
function signingOf(key: KeyObject): Signer["signing"] {
  if (key.asymmetricKeyType === "rsa") return { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (curve === "prime256v1") return algorithm;
  if (curve === "secp384r1") return { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" };
  throw new MusterError(
    "config/invalid",
    `caKey: a key of kind ${curve ?? key.asymmetricKeyType} cannot sign here; use RSA, P-256 or P-384`,
  );
}

function useNodeCrypto(): void {
  x509.cryptoProvider.set(webcrypto as Parameters<typeof x509.cryptoProvider.set>[0] & typeof webcrypto);
}
