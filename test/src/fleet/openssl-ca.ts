import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runTool } from "./tool-run.js";

/** A certificate and its key, as files. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface IssueOptions {
  /** Subject alternative names, as openssl writes them: `DNS:hub,IP:127.0.0.1`. */
  readonly names?: string;
  /** Issued so that it has expired already. */
  readonly expired?: boolean;
  readonly isCa?: boolean;
}

/** A CA as an operator has one: files, and the `openssl` command. */
export class OpensslCa implements KeyPair {
  readonly #folder: string;
  readonly certificate: string;
  readonly key: string;

  private constructor(folder: string, pair?: KeyPair) {
    this.#folder = folder;
    this.certificate = pair?.certificate ?? join(folder, "ca.crt");
    this.key = pair?.key ?? join(folder, "ca.key");
  }

  /** Makes a self-signed root with an RSA key. */
  static async make(folder: string, name = "Works root"): Promise<OpensslCa> {
    const ca = new OpensslCa(folder);
    await ca.#prepare();
    const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", ca.key];
    await ca.#openssl("req", "-x509", ...key, "-out", ca.certificate, "-subj", `/CN=${name}`, "-days", "30");
    return ca;
  }

  /** Works with a CA that is there. */
  static async of(folder: string, pair: KeyPair): Promise<OpensslCa> {
    const ca = new OpensslCa(folder, pair);
    await ca.#prepare();
    return ca;
  }

  /** A new P-256 key and a certificate for it, in files that begin with `file`. */
  async issue(commonName: string, options: IssueOptions = {}, file = commonName): Promise<KeyPair> {
    const pair = { certificate: join(this.#folder, `${file}.crt`), key: join(this.#folder, `${file}.key`) };
    const request = join(this.#folder, `${file}.csr`);
    const extensions = join(this.#folder, `${file}.ext`);
    const usage = options.names === undefined ? "clientAuth" : "serverAuth";
    const lines = options.isCa
      ? ["basicConstraints=critical,CA:true"]
      : ["basicConstraints=CA:false", `extendedKeyUsage=${usage}`];
    if (options.names !== undefined) lines.push(`subjectAltName=${options.names}`);
    await writeFile(extensions, lines.join("\n"));
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", pair.key];
    await this.#openssl("req", ...key, "-out", request, "-subj", `/CN=${commonName}`);
    const time =
      options.expired === true ? ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"] : ["-days", "10"];
    await this.#ca("-in", request, "-out", pair.certificate, "-extfile", extensions, ...time);
    return pair;
  }

  async revoke({ certificate }: KeyPair): Promise<void> {
    await this.#ca("-revoke", certificate);
  }

  /** The revocation list as of now, as a file. */
  async crl(): Promise<string> {
    const path = join(this.#folder, "ca.crl");
    await this.#ca("-gencrl", "-crldays", "5", "-out", path);
    return path;
  }

  /** The serial number of a certificate, as openssl writes it. */
  async serialOf({ certificate }: KeyPair): Promise<string> {
    return (await this.#openssl("x509", "-in", certificate, "-noout", "-serial")).trim().replace("serial=", "");
  }

  async #prepare(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    await writeFile(join(this.#folder, "index.txt"), "");
    const settings = [
      "[ca]",
      "default_ca=here",
      "[here]",
      `database=${join(this.#folder, "index.txt")}`,
      `new_certs_dir=${this.#folder}`,
      `certificate=${this.certificate}`,
      `private_key=${this.key}`,
      "rand_serial=yes",
      "default_md=sha256",
      "unique_subject=no",
      "policy=any",
      "[any]",
      "commonName=supplied",
    ];
    await writeFile(join(this.#folder, "ca.cnf"), settings.join("\n"));
  }

  #ca(...args: string[]): Promise<string> {
    return this.#openssl("ca", "-batch", "-notext", "-config", join(this.#folder, "ca.cnf"), ...args);
  }

  async #openssl(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await runTool("openssl", args, { cwd: this.#folder });
    if (code !== 0) throw new Error(`openssl ${args.join(" ")} ended with ${code}: ${stderr}`);
    return stdout;
  }
}
