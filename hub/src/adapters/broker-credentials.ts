import type { BrokerConfig } from "../config.js";
import type { Pki } from "../ports.js";
import type { ClientTls } from "./broker-session.js";
import { hubName } from "./mqtt-broker.js";
import { checkKey, readCertificates, readKey, wrong } from "./pem-files.js";

/** What the hub shows to a broker elsewhere and what it trusts there. */
export interface BrokerCredentials {
  /** Files are read again, and a certificate of the hub's own CA is made anew, each time. Throws `config/invalid`. */
  readonly hub: () => Promise<ClientTls>;
  /** The same in the name of a device; undefined when the hub does not sign. */
  readonly device: ((name: string) => Promise<ClientTls>) | undefined;
}

/** Takes the operator's files where there are some, and the hub's CA otherwise. Throws `config/invalid`. */
export async function brokerCredentials(config: BrokerConfig, pki: Pki): Promise<BrokerCredentials> {
  const { certificate, key } = config;
  const { authority } = pki;
  const ca = async () => {
    if (config.ca === undefined) return pki.serverCa;
    return (await readCertificates("broker.ca", config.ca)).map(String).join("\n");
  };
  const issued = async (name: string) => {
    if (authority === undefined) {
      throw wrong("broker.certificate", "this hub does not sign; give broker.certificate and broker.key, made for it");
    }
    return { ca: await ca(), ...(await authority.issueClient(name)) };
  };
  const hub = async () => {
    if (certificate === undefined || key === undefined) return issued(hubName);
    const chain = await readCertificates("broker.certificate", certificate);
    const privateKey = await readKey("broker.key", key);
    if (chain[0] !== undefined) checkKey("broker.key", chain[0], privateKey);
    const pem = String(privateKey.export({ type: "pkcs8", format: "pem" }));
    return { ca: await ca(), certificate: chain.map(String).join("\n"), privateKey: pem };
  };
  // What does not fit is told at the start, not at the first connect.
  await hub();
  return { hub, device: authority === undefined ? undefined : issued };
}
