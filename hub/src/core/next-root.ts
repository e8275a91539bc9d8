import type { PublicKey, Role, RoleKeys, Root } from "@muster/shared";

/** How long a root is valid unless told otherwise. */
export const rootLifeMs = 365 * 86_400_000;

/** The root that follows another, with the roles that change. It has to be signed still. */
export function nextRoot(
  before: Root,
  changed: Partial<Record<Role, RoleKeys>>,
  { nowMs, lifeMs }: { readonly nowMs: number; readonly lifeMs: number },
): Root {
  const roles = { ...before.roles, ...changed };
  return { version: before.version + 1, issuedMs: nowMs, expiresMs: nowMs + lifeMs, roles };
}

/** The role with one more key, or with nothing but that key. */
export function withKey(role: RoleKeys, key: PublicKey, only: boolean): RoleKeys {
  const others = only ? [] : role.keys.filter(({ keyid }) => keyid !== key.keyid);
  return { keys: [...others, key], threshold: only ? 1 : role.threshold };
}

/** The role without a key; undefined when fewer would be left than have to sign. */
export function withoutKey(role: RoleKeys, keyid: string): RoleKeys | undefined {
  const keys = role.keys.filter((key) => key.keyid !== keyid);
  return keys.length < role.threshold ? undefined : { keys, threshold: role.threshold };
}

/** Whether a root should be issued anew although nothing changed: half of its life is over. */
export function renewalDue({ issuedMs, expiresMs }: Root, nowMs: number): boolean {
  return nowMs - issuedMs > (expiresMs - issuedMs) / 2;
}
