import { type Labels, MusterError, type UserRole } from "@muster/shared";
import { parseSelector, selects } from "./fleet.js";

/** What a request does, as far as permission goes. */
export type Action =
  | "read"
  | "device.write"
  | "rollout.write"
  | "model.write"
  | "engine.write"
  | "trust.write"
  | "access.write"
  | "audit.read";

/** A table rather than a ladder: who publishes models does not thereby decide where they run. */
const granted: Readonly<Record<UserRole, readonly Action[]>> = {
  viewer: ["read"],
  operator: ["read", "device.write", "rollout.write"],
  publisher: ["read", "model.write", "engine.write"],
  admin: [
    "read",
    "device.write",
    "rollout.write",
    "model.write",
    "engine.write",
    "trust.write",
    "access.write",
    "audit.read",
  ],
};

/** What cannot be cut down to a part of the fleet: a shared engine reaches all devices of its class without a rollout. */
const ofWholeFleet: readonly Action[] = ["engine.write", "trust.write", "access.write", "audit.read"];

/** Who asks, as far as the hub has made sure. */
export interface Actor {
  readonly user: string;
  readonly token: string;
  readonly address: string;
  /** Each of them has to allow an action: the user's, and that of the token when it narrows it. */
  readonly roles: readonly UserRole[];
  /** A label selector; empty for the whole fleet. */
  readonly scope: string;
  readonly expiresMs: number | undefined;
}

/** Whether every role of the actor allows the action. */
export function may({ roles }: Pick<Actor, "roles">, action: Action): boolean {
  return roles.length > 0 && roles.every((role) => granted[role].includes(action));
}

/** Throws `access/denied` with the roles that may. */
export function requireAction(actor: Actor, action: Action): void {
  const roles = (Object.keys(granted) as UserRole[]).filter((role) => granted[role].includes(action));
  if (may(actor, action)) {
    if (actor.scope === "" || !ofWholeFleet.includes(action)) return;
    const who = `it needs ${roles.join(" or ")} without a scope`;
    throw denied(`${action} is for the whole fleet, and ${actor.user} asks with the scope '${actor.scope}'; ${who}`);
  }
  const have = actor.roles.join(" narrowed to ");
  throw denied(`${actor.user} is ${have}; ${action} needs ${roles.join(" or ")}`);
}

/** Whether a role allows nothing that another does not. */
export function isWithin(role: UserRole, of: UserRole): boolean {
  return granted[role].every((action) => granted[of].includes(action));
}

/** The selector cut down to what lies in the scope: all terms of both have to hold. */
export function narrowed(scope: string, selector: string): string {
  return [scope, selector].filter((part) => part.trim() !== "").join(",");
}

/** Whether everything a selector can name lies in the scope, because it has all of the scope's terms. */
export function coveredBy(scope: string, selector: string): boolean {
  const terms = new Set(parseSelector(selector).map((term) => JSON.stringify(term)));
  return parseSelector(scope).every((term) => terms.has(JSON.stringify(term)));
}

/** Whether a device lies in the scope. */
export function inScope(scope: string, device: string, labels: Labels): boolean {
  return selects(parseSelector(scope), device, labels);
}

/** Throws `access/denied` when the device does not lie in the actor's scope. */
export function requireScope(actor: Actor, device: string, labels: Labels): void {
  if (inScope(actor.scope, device, labels)) return;
  throw denied(`${actor.user} may do this only with devices of '${actor.scope}'`);
}

/**
 * Throws `access/denied` when a device that joins with these labels could lie outside of the actor's scope. A device may
 * bring labels of its own, so a scope that excludes labels lets nobody in.
 */
export function requireInvitation(actor: Actor, device: string, labels: Labels): void {
  requireScope(actor, device, labels);
  const excluding = parseSelector(actor.scope).some(({ is }) => is === "different" || is === "absent");
  if (excluding) throw denied(`the scope '${actor.scope}' excludes labels, which a joining device could bring itself`);
}

function denied(why: string): MusterError {
  return new MusterError("access/denied", why);
}
