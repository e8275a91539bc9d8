import { readFile } from "node:fs/promises";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { MusterError, messageOf } from "@muster/shared";
import type { ServingSettings } from "../serving-settings.js";

type Paths = NonNullable<ServingSettings["tls"]>;
type Shown = Pick<SecureContextOptions, "cert" | "key" | "minVersion">;

/** The certificate that a listener shows, from files that may be renewed while it does. */
export class TlsFiles {
  readonly #paths: Paths;
  #shown: Shown;

  private constructor(paths: Paths, shown: Shown) {
    this.#paths = paths;
    this.#shown = shown;
  }

  /** Throws `config/invalid` for files that cannot be read or do not belong together. */
  static async read(paths: Paths): Promise<TlsFiles> {
    return new TlsFiles(paths, await shownFrom(paths));
  }

  /** As a server takes it. */
  get shown(): Shown {
    return this.#shown;
  }

  /** Reads the files again and says whether they have changed. Throws `config/invalid`; then what was read before stays. */
  async refresh(): Promise<boolean> {
    const next = await shownFrom(this.#paths);
    if (String(next.cert) === String(this.#shown.cert) && String(next.key) === String(this.#shown.key)) return false;
    this.#shown = next;
    return true;
  }
}

async function shownFrom({ certificateFile, keyFile }: Paths): Promise<Shown> {
  try {
    const [cert, key] = await Promise.all([readFile(certificateFile), readFile(keyFile)]);
    const shown: Shown = { cert, key, minVersion: "TLSv1.2" };
    createSecureContext(shown);
    return shown;
  } catch (cause) {
    throw new MusterError("config/invalid", `inferenceTls cannot be used: ${messageOf(cause)}`, { cause });
  }
}
