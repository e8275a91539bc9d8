import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { MusterError, messageOf } from "@muster/shared";
import { loadConfig } from "@muster/shared/node";
import { z } from "zod";
import type { Io } from "./io.js";

/** What the CLI can be told by file, environment (`MUSTER_HUB` …) and flags, the later ones winning. */
export const CliConfig = z.strictObject({
  /** The address of the hub's API. */
  hub: z
    .string()
    .refine(isHttpUrl, "must be an address such as http://127.0.0.1:7400 or https://hub.example:7400")
    .default("http://127.0.0.1:7400"),
  /** The token that opens the API. */
  token: z.string().min(1).optional(),
  /** A file that holds the token. */
  tokenFile: z.string().min(1).optional(),
  /** A PEM file with the CA that signed the hub's certificate. */
  ca: z.string().min(1).optional(),
});
export type CliConfig = z.infer<typeof CliConfig>;

/** All that is needed to speak to a hub. */
export interface Connection {
  /** Without a slash at the end. */
  readonly hub: string;
  readonly token: string | undefined;
  /** PEM text. */
  readonly ca: string | undefined;
}

/** The connection the user asked for. Throws `config/invalid`. */
export async function connection(io: Pick<Io, "env" | "home">, flags: Partial<CliConfig>): Promise<Connection> {
  const fromEnv = environment(io.env);
  const config = await loadConfig(CliConfig, {
    file: configFile(io),
    fileRequired: (io.env.MUSTER_CONFIG ?? "") !== "",
    // Values of the environment are read as YAML; quoted, a token of digits stays the text it is.
    env: Object.fromEntries(Object.entries(fromEnv).map(([key, value]) => [key, JSON.stringify(value)])),
    envPrefix: "MUSTER",
    flags,
  });
  // The strongest place that names a token or a file wins, so that --token-file beats MUSTER_TOKEN.
  const sources = [flags, { token: fromEnv.MUSTER_TOKEN, tokenFile: fromEnv.MUSTER_TOKEN_FILE }, config];
  const source = sources.find(({ token, tokenFile }) => token !== undefined || tokenFile !== undefined);
  const token = await tokenFrom(source ?? {});
  const hub = config.hub.replace(/\/+$/, "");
  if (token !== undefined) refuseOpenToken(hub);
  return { hub, token, ca: config.ca === undefined ? undefined : await text(config.ca, "the CA") };
}

/** Where the configuration file is looked for. */
export function configFile({ env, home }: Pick<Io, "env" | "home">): string {
  if ((env.MUSTER_CONFIG ?? "") !== "") return env.MUSTER_CONFIG as string;
  const folder = (env.XDG_CONFIG_HOME ?? "") === "" ? join(home, ".config") : (env.XDG_CONFIG_HOME as string);
  return join(folder, "muster", "config.yaml");
}

/** The `MUSTER_*` variables that are set; an empty one counts as not set. */
function environment(env: Io["env"]): Partial<Record<`MUSTER_${string}`, string>> {
  return Object.fromEntries(
    Object.entries(env).filter(([key, value]) => key.startsWith("MUSTER_") && value !== undefined && value !== ""),
  );
}

async function tokenFrom(source: { token?: string | undefined; tokenFile?: string | undefined }) {
  if (source.token !== undefined && source.tokenFile !== undefined) {
    throw new MusterError("config/invalid", "token and token file are both given; give one of them");
  }
  const token = source.tokenFile === undefined ? source.token : await text(source.tokenFile, "the token");
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token.trim())) {
    throw new MusterError("config/invalid", "the token is empty or has characters a token cannot have");
  }
  return token?.trim();
}

async function text(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new MusterError("config/invalid", `cannot read ${what} from ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** A hub speaks plain HTTP on loopback only; anything else would read the token on its way. */
function refuseOpenToken(hub: string): void {
  const { protocol, hostname } = new URL(hub);
  const loopback = hostname === "localhost" || hostname === "[::1]" || /^127\./.test(hostname);
  if (protocol === "https:" || loopback) return;
  throw new MusterError("config/invalid", `the token would travel unencrypted to ${hub}; write https://`);
}

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}
