import { chmod, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { debianCommand, privateApt } from "../fetch/private-apt.js";

/** A line of a simulated installation: a package that is not on the machine yet. */
const missingPackage = /^Inst (\S+)/gm;

/**
 * Unpacks tools with all that they need and the machine does not have into a folder, without installing anything: servers
 * among them must not be started. `bin` in it then holds a start script per tool; the folder may be moved. Throws `CannotFetch`.
 * @param tools name of the tool → Debian package that has it
 */
export async function unpackTools(folder: string, tools: Readonly<Record<string, string>>): Promise<void> {
  const [apt, downloads, root] = ["apt", "downloads", "root"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const made of [downloads, root, join(folder, "bin")]) await mkdir(made, { recursive: true });
  const aptGet = await privateApt(apt);
  const packages = [...new Set(Object.values(tools))];
  const plan = await aptGet(["--simulate", "--no-install-recommends", "install", ...packages]);
  const missing = [...plan.matchAll(missingPackage)].map(([, name = ""]) => name);
  await aptGet(["download", ...new Set([...packages, ...missing])], downloads);
  for (const file of await readdir(downloads)) await debianCommand("dpkg-deb", ["-x", join(downloads, file), root]);
  const files = (await readdir(root, { recursive: true, withFileTypes: true })).filter((entry) => !entry.isDirectory());
  const libraries = new Set(
    files.filter(({ name }) => /\.so(?:\.|$)/.test(name)).map(({ parentPath }) => relative(folder, parentPath)),
  );
  for (const tool of Object.keys(tools)) {
    const found = files.find(({ name, parentPath }) => name === tool && /\/s?bin$/.test(parentPath));
    if (found === undefined) throw new Error(`package ${tools[tool]} has no program ${tool}`);
    const path = join(folder, "bin", tool);
    await writeFile(path, startScript(relative(folder, join(found.parentPath, found.name)), [...libraries]));
    await chmod(path, 0o755);
  }
  for (const done of [apt, downloads]) await rm(done, { recursive: true });
}

/** Starts the program in place of itself, so that signals reach it, with the libraries beside it. */
function startScript(program: string, libraries: readonly string[]): string {
  const folders = libraries.map((library) => `$here/${library}`).join(":");
  return [
    "#!/bin/sh",
    `here=$(cd "$(dirname "$0")/.." && pwd)`,
    `export LD_LIBRARY_PATH="${folders}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"`,
    `exec "$here/${program}" "$@"`,
    "",
  ].join("\n");
}

/** Whether a program lies in a folder of PATH, or in one that only the PATH of root names. */
export async function isOnMachine(tool: string, path: string): Promise<boolean> {
  for (const folder of new Set([...path.split(":"), "/usr/sbin", "/sbin"])) {
    if ((await readdir(folder).catch((): string[] => [])).includes(tool)) return true;
  }
  return false;
}
