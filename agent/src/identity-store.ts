import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { DeviceId, Envelope, MusterError, messageOf, newSealingKey, parseWith } from "@muster/shared";
import { readIfThere, syncFolder, writeDurably } from "@muster/shared/node";
import { z } from "zod";
import type { Validity } from "./core/renewal-time.js";

const firstKeyFile = "device.key.pem";

/** Who this device is, and which hub it trusts. The file that holds it names its key: writing it is the one commit. */
export const Identity = z.object({
  device: DeviceId,
  mqttUrl: z.string(),
  /** The hub's CA, PEM. */
  ca: z.string(),
  /** PEM; absent when the certificate is kept by someone else. */
  certificate: z.string().optional(),
  /** Where that someone keeps it. */
  certificateFile: z.string().optional(),
  /** The key: a name in the identity folder, or a path of that someone's. */
  keyFile: z.string().default(firstKeyFile),
  /** The root this device was told to trust when it joined; newer ones follow from it. */
  root: Envelope,
});
export type Identity = z.infer<typeof Identity>;

/** An identity with the certificate and the keys that prove it, PEM. */
export interface Credentials extends Identity {
  readonly certificate: string;
  readonly privateKey: string;
  /** What keys of encrypted artifacts are wrapped for; outlives certificates. */
  readonly sealingKey: string;
}

/** The stored identity. Throws `identity/missing` with how to join, `store/damaged`. */
export async function loadIdentity(dataDir: string): Promise<Credentials> {
  const identity = await readIdentity(dataDir);
  const { certificateFile, keyFile } = identity ?? {};
  const privateKey = keyFile === undefined ? undefined : await readIfThere(keyPath(dataDir, keyFile));
  const certificate = certificateFile === undefined ? identity?.certificate : await readIfThere(certificateFile);
  if (identity === undefined || privateKey === undefined || certificate === undefined) {
    const gone = certificateFile === undefined || identity === undefined ? dataDir : `${certificateFile} or ${keyFile}`;
    const message = `no identity in ${gone}; join first with the line that 'muster device invite' prints`;
    throw new MusterError("identity/missing", message);
  }
  return { ...identity, certificate, privateKey, sealingKey: await openSealingKey(dataDir) };
}

/** Made at the first start; the hub learns its public half with every hello. */
async function openSealingKey(dataDir: string): Promise<string> {
  const path = join(dataDir, "identity", "sealing.key.pem");
  const known = await readIfThere(path);
  if (known !== undefined) return known;
  const key = newSealingKey();
  await writeDurably(path, key);
  return key;
}

/** What is stored of the identity, without the files it names; undefined before the first join. */
export async function readIdentity(dataDir: string): Promise<Identity | undefined> {
  const path = identityPath(dataDir);
  const text = await readIfThere(path);
  return text === undefined ? undefined : parseWith(Identity, JSON.parse(text), "store/damaged", path);
}

/** A name for the next key, which no stored identity names yet. */
export function nextKeyFile(before: Identity | undefined): string {
  return before === undefined ? firstKeyFile : `device.${randomBytes(4).toString("hex")}.key.pem`;
}

/** First step of a change: the key alone, under a name that nothing refers to yet. */
export async function storeKey(dataDir: string, keyFile: string, privateKey: string): Promise<void> {
  await writeDurably(keyPath(dataDir, keyFile), privateKey);
}

/** Second step, and the one that counts: from here on the device is this. */
export async function commitIdentity(dataDir: string, identity: Identity): Promise<void> {
  await writeDurably(identityPath(dataDir), JSON.stringify(identity, undefined, 1));
}

/** Third step, and done again at every start: keys that the identity does not name are deleted. */
export async function sweepKeys(dataDir: string): Promise<void> {
  const identity = await readIdentity(dataDir);
  if (identity === undefined) return;
  const folder = join(dataDir, "identity");
  const stale = (await readdir(folder)).filter(
    (name) => /^\.?device\..*key\.pem/.test(name) && name !== identity.keyFile,
  );
  for (const name of stale) await rm(join(folder, name), { force: true });
  if (stale.length > 0) await syncFolder(folder);
}

/** Replaces the identity and its key so that a crash at any point leaves the old one or the new one. */
export async function replaceIdentity(
  dataDir: string,
  identity: Omit<Identity, "keyFile">,
  privateKey: string,
): Promise<Identity> {
  const next = { ...identity, keyFile: nextKeyFile(await readIdentity(dataDir)) };
  await storeKey(dataDir, next.keyFile, privateKey);
  await commitIdentity(dataDir, next);
  await sweepKeys(dataDir);
  return next;
}

/** When the certificate is valid, and its serial number. */
export function readCertificate(pem: string): Validity & { serial: string } {
  const { validFrom, validTo, serialNumber } = new X509Certificate(pem);
  return { fromMs: Date.parse(validFrom), expiresMs: Date.parse(validTo), serial: serialNumber.toLowerCase() };
}

/** Throws `identity/invalid` when the certificate is not the device's, not of this key, or over. */
export function checkCertificate(pem: string, device: string, privateKey: string, nowMs: number): void {
  let problem: string | undefined;
  try {
    const certificate = new X509Certificate(pem);
    const names = certificate.subject.split("\n").filter((part) => part.startsWith("CN="));
    if (names.length !== 1 || names[0] !== `CN=${device}`) {
      problem = `it is for '${certificate.subject}', expected the common name '${device}'`;
    } else if (!certificate.checkPrivateKey(createPrivateKey(privateKey))) problem = "it is not for this key";
    else if (Date.parse(certificate.validTo) <= nowMs) problem = `it has expired on ${certificate.validTo}`;
  } catch (cause) {
    problem = messageOf(cause);
  }
  if (problem !== undefined) throw new MusterError("identity/invalid", `the certificate does not fit: ${problem}`);
}

/** A PEM file that somebody else keeps. Throws `usage/invalid` naming the option. */
export async function readBrought(option: string, path: string): Promise<string> {
  return readFile(path, "utf8").catch((cause) => {
    throw new MusterError("usage/invalid", `${option} ${path} cannot be read: ${messageOf(cause)}`);
  });
}

function identityPath(dataDir: string): string {
  return join(dataDir, "identity", "identity.json");
}

function keyPath(dataDir: string, keyFile: string): string {
  return isAbsolute(keyFile) ? keyFile : join(dataDir, "identity", keyFile);
}
