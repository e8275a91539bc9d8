import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { MusterError, messageOf } from "@muster/shared";

const shortest = 16;

/** The tokens that may ask; without any, everybody may. */
export class Tokens {
  readonly #digests: readonly Buffer[] | undefined;

  private constructor(digests: readonly Buffer[] | undefined) {
    this.#digests = digests;
  }

  /** Reads a file of one token per line. Throws `config/invalid`. */
  static async read(file: string | undefined): Promise<Tokens> {
    if (file === undefined) return new Tokens(undefined);
    const refuse = (why: string, cause?: unknown) =>
      new MusterError("config/invalid", `inferenceTokenFile ${file} ${why}`, { cause });
    const text = await readFile(file, "utf8").catch((cause) => {
      throw refuse(`cannot be read: ${messageOf(cause)}`, cause);
    });
    const tokens = text
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "");
    if (tokens.length === 0) throw refuse("is empty; write a token into it, such as `openssl rand -hex 32` prints");
    if (tokens.some(({ length }) => length < shortest)) throw refuse(`has a token of less than ${shortest} characters`);
    return new Tokens(tokens.map(digest));
  }

  /** Throws `request/unauthorized` when the header does not bear a token. */
  check(authorization: string | undefined): void {
    if (this.#digests === undefined) return;
    const token = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
    const given = digest(token ?? "");
    if (token !== undefined && this.#digests.some((known) => timingSafeEqual(known, given))) return;
    const message = `the token is ${token === undefined ? "missing" : "unknown"}; send 'Authorization: Bearer TOKEN'`;
    throw new MusterError("request/unauthorized", message);
  }
}

/** Digests have one length, so that the time to compare them tells nothing. */
function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
