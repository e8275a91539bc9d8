import { readFile } from "node:fs/promises";
import { MusterError, messageOf } from "@muster/shared";
import type { AudioSource, HttpAuth, SecretRef, VideoSource } from "./feed-settings.js";

/** The variables of the process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A secret as it is now; a line break at the end of its file is not part of it. Throws `config/invalid`. */
export async function readSecret(ref: SecretRef, env: Environment): Promise<string> {
  if ("env" in ref) {
    const value = env[ref.env];
    if (value === undefined || value === "")
      throw new MusterError("config/invalid", `the variable ${ref.env}, which holds a secret, is not set`);
    return value;
  }
  return (await readPem(ref.file)).replace(/\r?\n$/, "");
}

/** The text of a file that the configuration names. Throws `config/invalid`. */
export async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new MusterError("config/invalid", `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}

/** The header that logs in. */
export async function authorization(auth: HttpAuth | undefined, env: Environment): Promise<Record<string, string>> {
  if (auth === undefined) return {};
  if ("token" in auth) return { authorization: `Bearer ${await readSecret(auth.token, env)}` };
  const login = `${auth.user}:${await readSecret(auth.password, env)}`;
  return { authorization: `Basic ${Buffer.from(login).toString("base64")}` };
}

/** What a recording is read from, with the login in it where there is one. Throws `config/invalid`. */
export async function inputWithLogin(
  { input, auth }: Pick<VideoSource | AudioSource, "input" | "auth">,
  env: Environment,
): Promise<string> {
  if (auth === undefined) return input;
  const url = new URL(input);
  url.username = encodeURIComponent(auth.user);
  url.password = encodeURIComponent(await readSecret(auth.password, env));
  return url.href;
}
