import { Pace } from "./pace.js";

export interface AdmissionLimits {
  /** New connections of one address, with a burst of two seconds' worth; 0 for no limit. */
  readonly connectsPerSecondPerAddress: number;
  readonly connectionsPerAddress: number;
  readonly maxConnections: number;
}

/** Why a new connection is not taken. */
export type NotAdmitted = "connects-too-fast" | "connections-per-address" | "connections-total";

interface Visitor {
  open: number;
  readonly pace: Pace;
}

/** Addresses remembered at most; beyond it the one seen longest ago that has no connection is forgotten. */
const maxAddresses = 10_000;

/** Decides by address whether a new connection is taken, before anything costly is done for it. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #maxAddresses: number;
  /** In the order in which the addresses were seen last. */
  readonly #visitors = new Map<string, Visitor>();
  #open = 0;

  constructor(limits: AdmissionLimits, addresses = maxAddresses) {
    this.#limits = limits;
    this.#maxAddresses = addresses;
  }

  /** Takes the connection, or says why not. What was taken must be given back with `leave`. */
  enter(address: string, nowMs: number): NotAdmitted | undefined {
    const { connectsPerSecondPerAddress: perSecond, connectionsPerAddress, maxConnections } = this.#limits;
    const visitor = this.#visitors.get(address) ?? { open: 0, pace: new Pace(perSecond, nowMs, 2 * perSecond) };
    this.#visitors.delete(address);
    this.#visitors.set(address, visitor);
    this.#forget(nowMs);
    if (!visitor.pace.free(nowMs)) return "connects-too-fast";
    // Also one that is refused below takes its turn: it costs the hub as much.
    visitor.pace.take(1, nowMs);
    if (visitor.open >= connectionsPerAddress) return "connections-per-address";
    if (this.#open >= maxConnections) return "connections-total";
    visitor.open += 1;
    this.#open += 1;
    return undefined;
  }

  /** A connection that was taken has ended. */
  leave(address: string, nowMs: number): void {
    const visitor = this.#visitors.get(address);
    if (visitor === undefined) return;
    this.#open -= 1;
    visitor.open -= 1;
    if (visitor.open === 0 && visitor.pace.rested(nowMs)) this.#visitors.delete(address);
  }

  /** Addresses remembered now. */
  get addresses(): number {
    return this.#visitors.size;
  }

  #forget(nowMs: number): void {
    if (this.#visitors.size <= this.#maxAddresses) return;
    const idle = [...this.#visitors].filter(([, { open }]) => open === 0);
    const rested = idle.filter(([, { pace }]) => pace.rested(nowMs));
    // A tenth at once, so that a flood of addresses does not have every one of them look at all.
    const enough = Math.max(1, Math.floor(this.#maxAddresses / 10));
    for (const [address] of [...rested, ...idle].slice(0, enough)) this.#visitors.delete(address);
  }
}
