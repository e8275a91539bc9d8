import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, readdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import {
  type Bundle,
  bundleFileName,
  bundleWithLabels,
  invalid,
  labelFileOf,
  MusterError,
  maxLabelFileBytes,
  messageOf,
  type Problem,
  parseBundle,
  type References,
  referencesOf,
} from "@muster/shared";
import { isMissing } from "@muster/shared/node";

/** A file of a bundle, ready to be sent. */
export interface BundleFile {
  /** As the bundle names it: relative, with forward slashes. */
  readonly path: string;
  /** Where it lies on this machine. */
  readonly file: string;
  readonly digest: string;
  readonly sizeBytes: number;
}

/** A bundle that was read from a folder. */
export interface BundleFolder {
  /** The text of its `muster.yaml`. */
  readonly text: string;
  /** Every other file, each path once. */
  readonly files: readonly BundleFile[];
}

/**
 * Reads the bundle in a folder and hashes every file it names. Throws `bundle/invalid` with all
 * problems of `muster.yaml`, or, when that fits, with all files that are missing.
 */
export async function readBundle(dir: string): Promise<BundleFolder> {
  const folder = resolve(dir);
  const text = await readDescription(folder);
  const bundle = parseBundle(text);
  const { paths, problems } = await collect(folder, bundle);
  if (problems.length > 0) throw invalid("bundle/invalid", join(dir, bundleFileName), problems);
  const labels = labelFileOf(bundle);
  if (labels !== undefined) bundleWithLabels(bundle, await labelBytes(join(folder, labels)));
  const files: BundleFile[] = [];
  for (const path of paths) files.push(await hashed(folder, path));
  return { text, files };
}

/** No more than tells a file that is too large: a typing error may name the model. */
async function labelBytes(path: string): Promise<Buffer> {
  const file = await open(path);
  try {
    const buffer = Buffer.alloc(maxLabelFileBytes + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function readDescription(folder: string): Promise<string> {
  const file = join(folder, bundleFileName);
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    if (!isMissing(cause))
      throw new MusterError("bundle/invalid", `cannot read ${file}: ${messageOf(cause)}`, { cause });
    const message = `there is no ${bundleFileName} in ${folder}; give the folder that holds it`;
    throw new MusterError("bundle/invalid", message, { cause, problems: [{ field: "", message }] });
  }
}

/** Every path the bundle names, in a fixed order, and what is wrong with the files behind them. */
async function collect(folder: string, bundle: Bundle) {
  const { variants, selfTest } = bundle;
  const labels = labelFileOf(bundle);
  const named = [
    ...variants.map(({ file }, at) => ({ field: `variants[${at}].file`, path: file })),
    ...selfTest.samples.map(({ file }, at) => ({ field: `selfTest.samples[${at}].file`, path: file })),
    ...(labels === undefined ? [] : [{ field: "postprocess.labelsFile", path: labels }]),
  ];
  const problems: Problem[] = [];
  for (const { field, path } of named) {
    const message = await fileProblem(join(folder, path), path);
    if (message !== undefined) problems.push({ field, message });
  }
  const references = referencesOf(bundle);
  const inputs = references === undefined ? [] : await inputsBelow(folder, references, problems);
  return { paths: [...new Set([...named.map(({ path }) => path), ...inputs])], problems };
}

async function inputsBelow(folder: string, references: References, problems: Problem[]): Promise<string[]> {
  const { field, folder: prefix, least, most, endings } = references;
  const shown = prefix.slice(0, -1);
  let names: string[];
  try {
    names = (await walk(join(folder, prefix), prefix)).filter(references.isInput);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
    problems.push({ field, message: `there is no folder '${shown}' in the bundle` });
    return [];
  }
  if (names.length < least) {
    const message = `'${shown}' holds ${names.length} files (${endings.join(" ")}); at least ${least} are needed`;
    problems.push({ field, message });
  }
  return names.sort().slice(0, most);
}

async function walk(folder: string, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) found.push(...(await walk(join(folder, entry.name), `${prefix}${entry.name}/`)));
    else found.push(prefix + entry.name);
  }
  return found;
}

async function fileProblem(file: string, path: string): Promise<string | undefined> {
  try {
    return (await stat(file)).isFile() ? undefined : `'${path}' is not a file`;
  } catch (error) {
    if (isMissing(error)) return `there is no file '${path}' in the bundle`;
    return `'${path}' cannot be read: ${messageOf(error)}`;
  }
}

async function hashed(folder: string, path: string): Promise<BundleFile> {
  const file = join(folder, path);
  const hash = createHash("sha256");
  let sizeBytes = 0;
  try {
    await pipeline(createReadStream(file), async (source) => {
      for await (const bytes of source) {
        hash.update(bytes);
        sizeBytes += bytes.length;
      }
    });
  } catch (cause) {
    throw new MusterError("bundle/invalid", `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
  return { path, file, digest: hash.digest("hex"), sizeBytes };
}
