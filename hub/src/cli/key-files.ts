import { access, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { generateSigningKey, MusterError, messageOf, readSigningKey, type SigningKey } from "@muster/shared";
import { writeDurably } from "@muster/shared/node";

/** Makes a signing key and writes it where nothing is yet, mode 0600. Throws `usage/invalid` rather than replace a file. */
export async function writeNewKey(path: string): Promise<SigningKey> {
  const there = await access(path).then(
    () => true,
    () => false,
  );
  if (there) throw new MusterError("usage/invalid", `${path} is there already; a key is never overwritten`);
  const key = generateSigningKey();
  await writeDurably(path, key.private.export({ type: "pkcs8", format: "pem" }));
  return key;
}

/** A signing key out of a PEM file. Throws `usage/invalid`. */
export async function readKeyFile(path: string): Promise<SigningKey> {
  try {
    return readSigningKey(await readFile(path, "utf8"));
  } catch (cause) {
    throw new MusterError("usage/invalid", `cannot read a signing key from ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** Every signing key in a folder: the files that end with `.key.pem`. */
export async function readKeyFolder(folder: string): Promise<SigningKey[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (cause) {
    throw new MusterError("usage/invalid", `cannot read the folder of keys ${folder}: ${messageOf(cause)}`, { cause });
  }
  const files = names.filter((name) => name.endsWith(".key.pem")).sort();
  return Promise.all(files.map((name) => readKeyFile(join(folder, name))));
}

/** A signing key out of the text of a variable, whose line ends may be written as `\n`. Throws `usage/invalid`. */
export function keyFromVariable(name: string, text: string): SigningKey {
  try {
    return readSigningKey(text.replaceAll("\\n", "\n"));
  } catch (cause) {
    throw new MusterError("usage/invalid", `${name} holds no signing key: ${messageOf(cause)}`, { cause });
  }
}
