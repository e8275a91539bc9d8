import { execFile } from "node:child_process";
import { access, constants, mkdir, readdir } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const installMs = 180_000;
/** Where packages are unpacked by who may not install them. */
const cache = fileURLToPath(new URL("../../../node_modules/.cache/debian-tools", import.meta.url));

/** How to call a tool: its path, and what its environment needs beyond ours. */
export interface DebianTool {
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * A tool of a Debian package, installed when it is missing: by root on the machine, by anybody else in a
 * folder of this checkout. A server is never installed, because that would start it. Throws with what to do when neither works.
 */
export async function debianTool(name: string, fromPackage: string, isServer = false): Promise<DebianTool> {
  const installed = (await onPath(name)) ?? (await unpacked(name));
  if (installed !== undefined) return installed;
  const failures: string[] = [];
  const install = process.getuid?.() === 0 && !isServer ? [asRoot, intoCache] : [intoCache];
  for (const attempt of install) {
    try {
      await attempt(fromPackage);
      const tool = (await onPath(name)) ?? (await unpacked(name));
      if (tool !== undefined) return tool;
      failures.push(`${attempt.name}: the package has no ${name}`);
    } catch (error) {
      failures.push(`${attempt.name}: ${(error as Error).message}`);
    }
  }
  throw new Error(
    `${name} is missing and could not be installed; do it by hand: apt-get install ${fromPackage}\n${failures.join("\n")}`,
  );
}

async function asRoot(name: string): Promise<void> {
  const options = { timeout: installMs, env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } };
  await run("apt-get", ["update"], options);
  await run("apt-get", ["install", "-y", "--no-install-recommends", name], options);
}

/** The package and the libraries it needs that are not on the machine, unpacked side by side. */
async function intoCache(name: string): Promise<void> {
  await mkdir(cache, { recursive: true });
  const { stdout } = await run("apt-cache", [
    "depends",
    "--recurse",
    "--no-recommends",
    "--no-suggests",
    "--no-conflicts",
    "--no-breaks",
    "--no-replaces",
    "--no-enhances",
    name,
  ]);
  const candidates = stdout.split("\n").filter((line) => /^[a-z0-9]/.test(line));
  const missing: string[] = [];
  for (const candidate of candidates) if (!(await isInstalled(candidate))) missing.push(candidate);
  await run("apt-get", ["download", ...new Set([name, ...missing])], { cwd: cache, timeout: installMs });
  for (const file of await readdir(cache)) {
    if (file.endsWith(".deb")) await run("dpkg", ["-x", file, "."], { cwd: cache });
  }
}

async function isInstalled(name: string): Promise<boolean> {
  return run("dpkg", ["-s", name]).then(
    () => true,
    () => false,
  );
}

async function onPath(name: string): Promise<DebianTool | undefined> {
  for (const folder of [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"]) {
    const path = join(folder, name);
    if (await isProgram(path)) return { path, env: {} };
  }
  return undefined;
}

async function unpacked(name: string): Promise<DebianTool | undefined> {
  for (const folder of ["bin", "sbin"]) {
    const path = join(cache, "usr", folder, name);
    if (await isProgram(path)) return { path, env: { LD_LIBRARY_PATH: (await libraryFolders()).join(delimiter) } };
  }
  return undefined;
}

/** There are none when every library a tool needs is on the machine. */
async function libraryFolders(): Promise<string[]> {
  const roots = [join(cache, "usr", "lib"), join(cache, "lib")];
  const found = roots.map(async (root) => (await readdir(root).catch(() => [])).map((folder) => join(root, folder)));
  return (await Promise.all(found)).flat();
}

async function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
