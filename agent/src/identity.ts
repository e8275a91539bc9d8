import { join as joinPath } from "node:path";
import {
  DeviceId,
  Envelope,
  followRoots,
  type Labels,
  MusterError,
  newSealingKey,
  openRoot,
  parseWith,
} from "@muster/shared";
import { readIfThere, writeDurably } from "@muster/shared/node";
import { z } from "zod";

/** Who this device is, and which hub it trusts. */
export const Identity = z.object({
  device: DeviceId,
  mqttUrl: z.string(),
  /** The hub's CA, PEM. */
  ca: z.string(),
  certificate: z.string(),
  /** The root this device was told to trust when it joined; newer ones follow from it. */
  root: Envelope,
});
export type Identity = z.infer<typeof Identity>;

/** An identity and the keys that prove it. */
export interface Credentials extends Identity {
  readonly privateKey: string;
  /** What keys of encrypted artifacts are wrapped for; outlives certificates. PEM. */
  readonly sealingKey: string;
}

/** What joining needs from outside. */
export interface Enroller {
  newKeyAndRequest(device: string): Promise<{ privateKey: string; csr: string }>;
  join(
    url: string,
    pin: string,
    request: { secret: string; device: string; csr: string; labels: Labels },
  ): Promise<Omit<Identity, "device" | "root"> & { roots: Envelope[] }>;
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
}

/**
 * Joins a hub with an invitation and stores the identity durably; the key never leaves the device.
 * Throws `identity/…`, `invite/refused`, `signature/invalid`, `hub/unreachable`, `device/exists`, `usage/invalid`.
 */
export async function joinHub(
  dataDir: string,
  { url, token, device, labels, root: known }: Invitation,
  enroller: Enroller,
): Promise<Identity> {
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
  if ((await readIfThere(identityPath(dataDir))) !== undefined) {
    throw new MusterError(
      "device/exists",
      `${dataDir} holds the identity of a joined device; use another --data-dir or remove it`,
    );
  }
  const name = parseWith(DeviceId, device, "usage/invalid", "the device's name");
  const { privateKey, csr } = await enroller.newKeyAndRequest(name);
  const { roots, ...hub } = await enroller.join(url, pin, { secret, device: name, csr, labels });
  const root = newestRoot(roots, known);
  const identity: Identity = { ...hub, device: name, root };
  await writeDurably(keyPath(dataDir), privateKey);
  // Last: its presence says that joining is complete.
  await writeDurably(identityPath(dataDir), JSON.stringify(identity, undefined, 1));
  return identity;
}

/** The stored identity. Throws `identity/missing` with how to join. */
export async function loadIdentity(dataDir: string): Promise<Credentials> {
  const text = await readIfThere(identityPath(dataDir));
  const privateKey = await readIfThere(keyPath(dataDir));
  if (text === undefined || privateKey === undefined) {
    const message = `no identity in ${dataDir}; join first with the line that 'muster device invite' prints`;
    throw new MusterError("identity/missing", message);
  }
  const identity = parseWith(Identity, JSON.parse(text), "store/damaged", identityPath(dataDir));
  return { ...identity, privateKey, sealingKey: await openSealingKey(dataDir) };
}

/** Made at the first start; the hub learns its public half with every hello. */
async function openSealingKey(dataDir: string): Promise<string> {
  const path = joinPath(dataDir, "identity", "sealing.key.pem");
  const known = await readIfThere(path);
  if (known !== undefined) return known;
  const key = newSealingKey();
  await writeDurably(path, key);
  return key;
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

function identityPath(dataDir: string): string {
  return joinPath(dataDir, "identity", "identity.json");
}

function keyPath(dataDir: string): string {
  return joinPath(dataDir, "identity", "device.key.pem");
}
