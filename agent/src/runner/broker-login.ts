import type { BrokerOptions } from "../ports.js";
import type { BrokerSettings } from "./feed-settings.js";
import { type Environment, readPem, readSecret } from "./secret.js";

/** A broker and a local network are near: a connection that is gone is to be noticed soon. */
const keepaliveSeconds = 60;

/** The part of a connection that the settings of a broker say. Files are read anew each time. Throws `config/invalid`. */
export async function brokerLogin(
  { url, auth, caFile, certificateFile, keyFile }: BrokerSettings,
  env: Environment,
): Promise<Omit<BrokerOptions, "clientId" | "clean" | "subscribe" | "onMessage" | "signal">> {
  return {
    ...{ url, keepaliveSeconds },
    ...(auth === undefined ? {} : { user: auth.user, password: await readSecret(auth.password, env) }),
    ...(caFile === undefined ? {} : { ca: await readPem(caFile) }),
    ...(certificateFile === undefined ? {} : { certificate: await readPem(certificateFile) }),
    ...(keyFile === undefined ? {} : { privateKey: await readPem(keyFile) }),
  };
}
