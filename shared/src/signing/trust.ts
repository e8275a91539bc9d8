import { parseWith } from "../schema.js";
import { type Desired, verifyDesired } from "./desired.js";
import { DesiredMessage, lostKey, type Root, rootSteps } from "./root.js";

/** What a device durably trusts; all of it advances at once, or nothing does. */
export interface Trust {
  readonly root: Root;
  /** The highest desired revision that was accepted, and the document that had it. */
  readonly revision: number;
  readonly desired: Desired | undefined;
  /** The latest time a signed document vouched for: the time of a device whose clock is behind. */
  readonly trustedMs: number;
}

/**
 * What a device trusts after a desired message: the roots are followed, then the document is verified by the newest.
 * A root that takes a director key away begins revision and time anew, so that whoever stole the old key cannot have
 * run both so far ahead that no honest document is accepted again.
 * Throws `signature/invalid` or `desired/refused`; then nothing of the message counts.
 */
export function acceptDesired(message: unknown, before: Trust, device: string, clockMs: number): Trust {
  const { roots, desired: envelope } = parseWith(DesiredMessage, message, "signature/invalid", "desired message");
  const steps = rootSteps(before.root, roots);
  const root = steps.at(-1) ?? before.root;
  const anew = lostKey(steps, "director");
  const base = anew ? { revision: 0, desired: undefined, trustedMs: root.issuedMs } : before;
  const { revision, desired: accepted } = base;
  const nowMs = Math.max(clockMs, base.trustedMs);
  const desired = verifyDesired(envelope, root, { device, revision, accepted, nowMs });
  return { root, revision: desired.revision, desired, trustedMs: Math.max(base.trustedMs, desired.issuedMs) };
}
