import { type Clock, type Log, MusterError } from "@muster/shared";
import type { Access } from "../access.js";
import type { Audit } from "../audit.js";
import { AttemptLimit, TooManyAttemptsError } from "../core/attempt-limit.js";
import type { Action, Actor } from "../core/permission.js";

declare module "fastify" {
  interface FastifyContextConfig {
    /** What the route does. */
    action?: Action;
    /** Anybody may ask it. */
    open?: true;
  }
  interface FastifyRequest {
    /** Who asks; there on every route that is not open. */
    actor: Actor;
  }
}

export interface GateDeps {
  readonly access: Access;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly log: Log;
}

/** Lets requests in: who asks, whether they may, and how often an address may fail to say. */
export class Gate {
  readonly #deps: GateDeps;
  readonly #attempts = new AttemptLimit();
  readonly #counters = { "token-refused": 0, "token-slowed": 0, "access-denied": 0 };

  constructor(deps: GateDeps) {
    this.#deps = deps;
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters };
  }

  /**
   * Who asks. A good token is let in however often its address has failed: 192 random bits are not guessed, and others
   * may share the address. Throws `request/unauthorized`, `access/too-many-attempts`.
   */
  async enter(header: string | undefined, address: string): Promise<Actor> {
    const { access, clock, log } = this.#deps;
    const secret = /^Bearer (\S+)$/.exec(header ?? "")?.[1];
    const actor = secret === undefined ? undefined : await access.identify(secret, address);
    const message = "the API token is missing, wrong, expired or revoked; give it as 'Authorization: Bearer TOKEN'";
    // No token is no guess.
    if (secret === undefined) throw new MusterError("request/unauthorized", message);
    if (actor === undefined) {
      const nowMs = clock.now();
      const waitMs = this.#attempts.waitMs(address, nowMs);
      if (waitMs > 0) {
        this.#counters["token-slowed"] += 1;
        throw new TooManyAttemptsError(waitMs);
      }
      this.#counters["token-refused"] += 1;
      const failures = this.#attempts.failed(address, nowMs);
      log.warn("http.token.refused", { address, failures });
      throw new MusterError("request/unauthorized", message);
    }
    return actor;
  }

  /** Somebody known tried what they may not. */
  async denied(actor: Actor, action: string, subject: string, reason: string): Promise<void> {
    this.#counters["access-denied"] += 1;
    const { user, token, address } = actor;
    this.#deps.log.warn("http.access.denied", { user, token, address, action, subject, reason });
    await this.#deps.audit.refused(actor, action, subject);
  }
}
