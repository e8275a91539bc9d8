import { join as joinPath } from "node:path";
import { DeviceId, type Labels, MusterError, parseWith, TrustedKeys } from "@muster/shared";
import { readIfThere, writeDurably } from "@muster/shared/node";
import { z } from "zod";

/** Who this device is, and which hub it trusts. */
export const Identity = z.object({
  device: DeviceId,
  mqttUrl: z.string(),
  /** The hub's CA, PEM. */
  ca: z.string(),
  certificate: z.string(),
  keys: TrustedKeys,
});
export type Identity = z.infer<typeof Identity>;

/** An identity and the key that proves it. */
export interface Credentials extends Identity {
  readonly privateKey: string;
}

/** What joining needs from outside. */
export interface Enroller {
  newKeyAndRequest(device: string): Promise<{ privateKey: string; csr: string }>;
  join(
    url: string,
    pin: string,
    request: { secret: string; device: string; csr: string; labels: Labels },
  ): Promise<Omit<Identity, "device">>;
}

/** An invitation as it was pasted. */
export interface Invitation {
  readonly url: string;
  /** The secret and the digest of the hub's CA, with a dot between. */
  readonly token: string;
  readonly device: string;
  readonly labels: Labels;
}

/**
 * Joins a hub with an invitation and stores the identity durably; the key never leaves the device.
 * Throws `identity/…`, `invite/refused`, `hub/unreachable`, `device/exists`, `usage/invalid`.
 */
export async function joinHub(
  dataDir: string,
  { url, token, device, labels }: Invitation,
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
  const reply = await enroller.join(url, pin, { secret, device: name, csr, labels });
  const identity: Identity = { ...reply, device: name };
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
  return { ...parseWith(Identity, JSON.parse(text), "store/damaged", identityPath(dataDir)), privateKey };
}

function identityPath(dataDir: string): string {
  return joinPath(dataDir, "identity", "identity.json");
}

function keyPath(dataDir: string): string {
  return joinPath(dataDir, "identity", "device.key.pem");
}
