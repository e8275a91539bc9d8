/** Packages that the work needs cannot be had here; nothing is wrong with what they were for. */
export class CannotFetch extends Error {
  constructor(what: string, cause: unknown) {
    super(`cannot fetch ${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = "CannotFetch";
  }
}
