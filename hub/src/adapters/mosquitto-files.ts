import { access, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseWith } from "@muster/shared";
import { lockFolder, systemClock, writeDurably } from "@muster/shared/node";
import { HubConfig } from "../config.js";
import type { Pki } from "../ports.js";
import { mosquittoAcl, mosquittoConf } from "./mosquitto-conf.js";
import { hubName } from "./mqtt-broker.js";
import { readCrls } from "./pem-files.js";
import { openPki } from "./pki.js";

export interface MosquittoFiles {
  /** Where they are written, and where the broker will read them. */
  readonly folder: string;
  /** Names and addresses that the broker's certificate is to be for. */
  readonly hosts: readonly string[];
  readonly port: number;
  readonly pki: Pki;
  /** The revocation list of a CA that does not sign here, PEM. */
  readonly crl?: string | undefined;
}

/** The same for the hub of a configuration, which may be running. Throws `config/invalid`, `store/in-use`. */
export async function prepareMosquitto(
  options: Partial<HubConfig>,
  files: Pick<MosquittoFiles, "folder"> & Partial<Pick<MosquittoFiles, "hosts" | "port">>,
): Promise<string[]> {
  const config = parseWith(HubConfig, options, "config/invalid", "the configuration");
  const { broker, caCrl, publicHost, deviceCertificateMs } = config;
  const folder = join(config.dataDir, "identity");
  // A hub that has never run has no CA; it is made here, unless the hub is about to make it.
  const isNew = config.caCertificate === undefined && !(await isThere(join(folder, "ca.crt.pem")));
  const unlock = isNew ? await lockFolder(config.dataDir) : undefined;
  try {
    const pki = await openPki({ folder, files: config, publicHost, deviceCertificateMs, clock: systemClock });
    const urls = [broker?.url, broker?.deviceUrl].flatMap((url) => (url === undefined ? [] : [new URL(url)]));
    const named = urls.map(({ hostname }) => hostname.replace(/^\[|\]$/g, ""));
    const hosts = files.hosts ?? (named.length === 0 ? [publicHost] : named);
    const port = files.port ?? Number(urls[0]?.port || 8883);
    const crl = caCrl === undefined ? undefined : (await readCrls("caCrl", caCrl)).join("\n");
    return await writeMosquittoFiles({ folder: files.folder, hosts: [...new Set(hosts)], port, pki, crl });
  } finally {
    await unlock?.();
  }
}

/**
 * Writes all that a Mosquitto needs to be the broker of a hub: configuration, access list, certificate, CA and revocation
 * list; returns the paths. Written again, the certificate is a new one; a revocation list that is there is the hub's, and stays.
 */
export async function writeMosquittoFiles({ folder, hosts, port, pki, crl }: MosquittoFiles): Promise<string[]> {
  const at = resolve(folder);
  await mkdir(at, { recursive: true, mode: 0o755 });
  const own = await pki.listenerTls();
  const server = (await pki.authority?.issueServer(hosts)) ?? own;
  const list = crl ?? (await pki.authority?.issueCrl([]));
  const files: [name: string, text: string, mode: number][] = [
    ["ca.crt", own.ca, 0o644],
    ["server.crt", server.certificate, 0o644],
    ["server.key", server.privateKey, 0o600],
    ["acl", mosquittoAcl(hubName), 0o644],
    ["mosquitto.conf", mosquittoConf({ folder: at, port, crl: list !== undefined }), 0o644],
  ];
  const kept = crl === undefined && (await isThere(join(at, "crl.pem")));
  if (list !== undefined && !kept) files.push(["crl.pem", list, 0o644]);
  for (const [name, text, mode] of files) await writeDurably(join(at, name), text, mode);
  return files.map(([name]) => join(at, name));
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
