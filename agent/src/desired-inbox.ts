import {
  acceptDesired,
  type Clock,
  type Desired,
  type Envelope,
  type Log,
  messageOf,
  type Trust,
} from "@muster/shared";
import { type AgentState, trustOf, withTrust } from "./state.js";

export interface DesiredInboxDeps {
  readonly state: () => AgentState;
  /** Stores a change; it resolves once the change is durable. */
  readonly update: (change: (state: AgentState) => AgentState) => Promise<void>;
  readonly device: {
    readonly id: string;
    /** The root this device was told to trust when it joined. */
    readonly joined: Envelope;
    readonly onEvent: (kind: string, fields: Record<string, unknown>) => Promise<void>;
    readonly onChange: () => void;
  };
  readonly clock: Clock;
  readonly log: Log;
}

/** The pause before what could not be stored is tried again. */
const retryMs = 5000;
/** How often the clock is looked at; it may jump. */
const lookMs = 60_000;

/** Takes what the hub wants: verifies it, keeps it durably, and raises the alarm when it gets too old to act on. */
export class DesiredInbox {
  readonly #deps: DesiredInboxDeps;
  #refusal: string | undefined;
  #latest: unknown;
  #alarmed: number | undefined;

  constructor(deps: DesiredInboxDeps) {
    this.#deps = deps;
  }

  /** Why the last document was refused, or why none is acted on now. */
  get refusal(): string | undefined {
    return this.#refusal ?? this.#overdue()?.reason;
  }

  /** Whether what is wanted is too old to act on: the device keeps serving and changes nothing. */
  get expired(): boolean {
    return this.#overdue() !== undefined;
  }

  /** What is trusted now. */
  get trust(): Trust {
    return trustOf(this.#deps.state(), this.#deps.device.joined);
  }

  /** Takes a document, and takes it again while it cannot be stored, unless a newer one has arrived. True when accepted. */
  async take(message: unknown, signal: AbortSignal): Promise<boolean> {
    this.#latest = message;
    while (this.#latest === message && !signal.aborted) {
      try {
        return await this.accept(message);
      } catch (error) {
        this.#deps.log.error("desired.unstored", { error, retryInMs: retryMs });
        await this.#deps.clock.sleep(retryMs, signal).catch(() => undefined);
      }
    }
    return false;
  }

  /** Verifies a document and keeps it; one that is refused changes nothing and is told. True when accepted. */
  async accept(message: unknown): Promise<boolean> {
    const { clock, device, log, update } = this.#deps;
    let accepted: Trust;
    try {
      accepted = acceptDesired(message, this.trust, device.id, clock.now());
    } catch (error) {
      this.#refusal = messageOf(error);
      log.warn("desired.refused", { reason: this.#refusal });
      await device.onEvent("desired.refused", { reason: this.#refusal });
      device.onChange();
      return false;
    }
    await update((state) => {
      // Two documents may be verified before the first is stored; the older never replaces the newer.
      const before = trustOf(state, device.joined);
      if (accepted.root.version < before.root.version) return state;
      if (accepted.root.version === before.root.version && accepted.revision < before.revision) return state;
      return withTrust(state, accepted, device.joined);
    });
    this.#refusal = undefined;
    device.onChange();
    return true;
  }

  /** Raises the alarm once for every document that gets too old, until the signal. */
  async watchExpiry(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const overdue = this.#overdue();
      if (overdue !== undefined && this.#alarmed !== overdue.sinceMs) {
        this.#alarmed = overdue.sinceMs;
        this.#deps.log.warn("desired.expired", { reason: overdue.reason });
        await this.#deps.device.onEvent("desired.expired", { reason: overdue.reason }).catch((error) => {
          this.#deps.log.error("event.unspooled", { error });
        });
        this.#deps.device.onChange();
      }
      const expiresMs = this.#deps.state().desired?.expiresMs ?? Number.POSITIVE_INFINITY;
      const untilMs = expiresMs - this.#deps.clock.now();
      const pauseMs = untilMs > 0 ? Math.min(untilMs + 1, lookMs) : lookMs;
      await this.#deps.clock.sleep(pauseMs, signal).catch(() => undefined);
    }
  }

  #overdue(): { reason: string; sinceMs: number } | undefined {
    const { root, trustedMs } = this.trust;
    // What is acted on, also when it came from the hub before.
    const { desired } = this.#deps.state();
    if (desired === undefined) return undefined;
    const nowMs = Math.max(this.#deps.clock.now(), trustedMs);
    const sinceMs = endOf(desired, root.expiresMs);
    if (sinceMs > nowMs) return undefined;
    const what = desired.expiresMs <= root.expiresMs ? `desired document ${desired.revision}` : `root ${root.version}`;
    const reason = `${what} expired ${new Date(sinceMs).toISOString()}; this device keeps serving and changes nothing until its hub sends a newer one`;
    return { reason, sinceMs };
  }
}

function endOf({ expiresMs }: Desired, rootExpiresMs: number): number {
  return Math.min(expiresMs, rootExpiresMs);
}
