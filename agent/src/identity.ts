import { resolve } from "node:path";
import {
  DeviceId,
  type Envelope,
  followRoots,
  type JoinRequest,
  type Labels,
  MusterError,
  openRoot,
  parseWith,
} from "@muster/shared";
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
  ): Promise<Pick<Identity, "mqttUrl" | "ca"> & { certificate: string; roots: Envelope[] }>;
}

/** An invitation as it was pasted. */
export interface Invitation {
  readonly url: string;
  /** The secret and the digest of the hub's CA, with a dot between. */
  readonly token: string;
  readonly device: string;
  readonly labels: Labels;
  /** A root that came another way, such as baked into an image; that of the hub has to follow from it. */
  readonly root?: unknown;
  /** Take a new identity in place of the one that is there; models and state stay. */
  readonly again?: boolean | undefined;
  /** A certificate and key of a CA of one's own, which stay where they are; PEM files. */
  readonly brought?: { readonly certificateFile: string; readonly keyFile: string } | undefined;
}

/**
 * Joins a hub with an invitation and stores the identity durably; the key never leaves the device.
 * Throws `identity/…`, `invite/refused`, `signature/invalid`, `hub/unreachable`, `device/…`, `usage/invalid`.
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
    const { ca, mqttUrl, roots } = await enroller.join(url, pin, { ...known, certificate });
    const root = newestRoot(roots, invitation.root);
    const identity: Identity = { ca, mqttUrl, root, device: name, certificateFile, keyFile };
    await commitIdentity(dataDir, identity);
    return identity;
  }
  const { privateKey, csr } = await enroller.newKeyAndRequest(name);
  const { roots, ...hub } = await enroller.join(url, pin, { ...known, csr });
  return replaceIdentity(dataDir, { ...hub, device: name, root: newestRoot(roots, invitation.root) }, privateKey);
}

/** The newest root of a hub, once it is proven by its own keys, or by those of a root that is known already. */
function newestRoot(roots: readonly Envelope[], known: unknown): Envelope {
  const newest = roots.at(-1);
  if (newest === undefined) throw new MusterError("signature/invalid", "the hub sent no root");
  const { version } = openRoot(newest);
  if (known === undefined) return newest;
  const followed = followRoots(openRoot(known), roots);
  if (followed.version === version && sameRoot(followed, openRoot(newest))) return newest;
  throw new MusterError("signature/invalid", "the hub's root does not follow from the root that was given with --root");
}

function sameRoot(a: object, b: object): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
