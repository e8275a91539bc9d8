import { resolve } from "node:path";
import { DeviceId, type JoinRequest, type Labels, MusterError, parseWith } from "@muster/shared";
import {
  checkCertificate,
  commitIdentity,
  type Identity,
  readBrought,
  readIdentity,
  replaceIdentity,
} from "./identity-store.js";

/** What joining needs from outside. */
export interface Enroller {
  newKeyAndRequest(device: string): Promise<{ privateKey: string; csr: string }>;
  join(
    url: string,
    pin: string,
    request: JoinRequest,
  ): Promise<Pick<Identity, "mqttUrl" | "ca" | "keys"> & { certificate: string }>;
}

/** An invitation as it was pasted. */
export interface Invitation {
  readonly url: string;
  /** The secret and the digest of the hub's CA, with a dot between. */
  readonly token: string;
  readonly device: string;
  readonly labels: Labels;
  /** Take a new identity in place of the one that is there; models and state stay. */
  readonly again?: boolean | undefined;
  /** A certificate and key of a CA of one's own, which stay where they are; PEM files. */
  readonly brought?: { readonly certificateFile: string; readonly keyFile: string } | undefined;
}

/**
 * Joins a hub with an invitation and stores the identity durably; the key never leaves the device.
 * Throws `identity/…`, `invite/refused`, `hub/unreachable`, `device/…`, `usage/invalid`.
 */
export async function joinHub(dataDir: string, invitation: Invitation, enroller: Enroller): Promise<Identity> {
  const { url, token, device, labels, again, brought } = invitation;
  const [secret, pin, ...more] = token.split(".");
  if (secret === undefined || pin === undefined || pin === "" || more.length > 0) {
    throw new MusterError(
      "usage/invalid",
      "the join token is incomplete; paste the whole line of 'muster device invite'",
    );
  }
  if (!URL.canParse(url) || new URL(url).protocol !== "https:") {
    throw new MusterError("usage/invalid", `'${url}' is no https URL; paste the whole line of 'muster device invite'`);
  }
  const name = parseWith(DeviceId, device, "usage/invalid", "the device's name");
  const before = again === true ? undefined : await readIdentity(dataDir);
  if (before !== undefined) {
    throw new MusterError(
      "device/exists",
      `${dataDir} holds the identity of a joined device; use another --data-dir, or give --again to join anew and keep its models`,
    );
  }
  const known = { secret, device: name, labels };
  if (brought !== undefined) {
    const [certificateFile, keyFile] = [resolve(brought.certificateFile), resolve(brought.keyFile)];
    const certificate = await readBrought("--certificate", certificateFile);
    checkCertificate(certificate, name, await readBrought("--key", keyFile), Date.now());
    const { ca, mqttUrl, keys } = await enroller.join(url, pin, { ...known, certificate });
    const identity: Identity = { ca, mqttUrl, keys, device: name, certificateFile, keyFile };
    await commitIdentity(dataDir, identity);
    return identity;
  }
  const { privateKey, csr } = await enroller.newKeyAndRequest(name);
  const reply = await enroller.join(url, pin, { ...known, csr });
  return replaceIdentity(dataDir, { ...reply, device: name }, privateKey);
}
