import { join } from "node:path";
import { generateSigningKey, readSigningKey, type SigningKey, type TrustedKeys } from "@muster/shared";
import { readIfThere, writeDurably } from "@muster/shared/node";

/** The keys this hub signs with. */
export interface HubKeys {
  /** Says that a manifest is genuine. */
  readonly release: SigningKey;
  /** Says what a device is to run. */
  readonly director: SigningKey;
}

/** Opens the signing keys in the folder, and makes them the first time; files have mode 0600. */
export async function openKeys(folder: string): Promise<HubKeys> {
  return {
    release: await openKey(join(folder, "release.key.pem")),
    director: await openKey(join(folder, "director.key.pem")),
  };
}

/** What a device has to trust to follow this hub. */
export function trustedKeys({ release, director }: HubKeys): TrustedKeys {
  return { release: [release.public], director: [director.public] };
}

async function openKey(path: string): Promise<SigningKey> {
  const pem = await readIfThere(path);
  if (pem !== undefined) return readSigningKey(pem);
  const key = generateSigningKey();
  await writeDurably(path, key.private.export({ type: "pkcs8", format: "pem" }));
  return key;
}
