import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { MusterError, messageOf } from "@muster/shared";

const shortest = 16;

/** The tokens that may ask; without any, everybody may. */
export class Tokens {
  readonly #file: string | undefined;
  #digests: readonly Buffer[] | undefined;

  private constructor(file: string | undefined, digests: readonly Buffer[] | undefined) {
    this.#file = file;
    this.#digests = digests;
  }

  /** Reads a file of one token per line. Throws `config/invalid`. */
  static async read(file: string | undefined): Promise<Tokens> {
    return new Tokens(file, file === undefined ? undefined : await digestsIn(file));
  }

  /** Reads the file again and says whether it has changed. Throws `config/invalid`; then the tokens before go on counting. */
  async refresh(): Promise<boolean> {
    const [file, before] = [this.#file, this.#digests];
    if (file === undefined || before === undefined) return false;
    const next = await digestsIn(file);
    this.#digests = next;
    return Buffer.compare(Buffer.concat(before), Buffer.concat(next)) !== 0;
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

async function digestsIn(file: string): Promise<readonly Buffer[]> {
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
  return tokens.map(digest);
}

/** Digests have one length, so that the time to compare them tells nothing. */
function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
