import { chmod, cp, mkdir, readdir, readFile, rename, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { agentOnly, agentWorkspaces, type Lock, type Package, withoutDevelopment } from "./agent-lock.js";
import { isNeeded } from "./needed.js";
import { npm } from "./npm.js";
import type { Platform } from "./platform.js";

const starter = `#!/usr/bin/env node
import "@muster/agent/bin/muster-agent.js";
`;

/**
 * Makes a folder that holds all an agent needs on a device of the platform besides Node: `bin/muster-agent.js` and
 * `node_modules`, with the versions of the lock file and the compiled output of the checkout. Returns the bytes of its
 * files. The folder must not be there yet.
 */
export async function makeAgentPackage(checkout: string, platform: Platform, folder: string): Promise<number> {
  const json = async (path: string) => JSON.parse(await readFile(join(checkout, path), "utf8")) as Package;
  const write = (path: string, value: unknown) =>
    writeFile(join(folder, path), `${JSON.stringify(value, undefined, 2)}\n`, { mode: 0o644 });
  const { root, lock } = agentOnly(await json("package.json"), (await json("package-lock.json")) as Lock);
  for (const workspace of agentWorkspaces) {
    await mkdir(join(folder, workspace), { recursive: true });
    await write(join(workspace, "package.json"), withoutDevelopment(await json(join(workspace, "package.json"))));
  }
  await write("package.json", root);
  await write("package-lock.json", lock);
  await install(folder, platform);

  const modules = join(folder, "node_modules");
  for (const workspace of agentWorkspaces) {
    const installed = join(modules, "@muster", workspace);
    // npm made a link to the workspace, which only Unix can unpack.
    await rm(installed);
    await rename(join(folder, workspace), installed);
    for (const part of ["bin", "dist"]) await copyIfThere(join(checkout, workspace, part), join(installed, part));
  }
  await rm(join(modules, ".bin"), { recursive: true, force: true });
  await keepNeeded(modules, modules, platform);

  await rm(join(folder, "package-lock.json"));
  const { version, license, engines } = root;
  await write("package.json", { name: "muster-agent", version, license, engines, private: true, type: "module" });
  await cp(join(checkout, "LICENSE"), join(folder, "LICENSE"));
  await mkdir(join(folder, "bin"));
  await writeFile(join(folder, "bin", "muster-agent.js"), starter);
  await chmod(join(folder, "bin", "muster-agent.js"), 0o755);
  return sizeOf(folder);
}

/** Install scripts would run for this machine, not for the device; both native libraries come as binaries. */
async function install(folder: string, { os, cpu, libc }: Platform): Promise<void> {
  const target = [`--os=${os}`, `--cpu=${cpu}`, ...(libc === undefined ? [] : [`--libc=${libc}`])];
  await npm(["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", ...target], folder);
}

async function copyIfThere(from: string, to: string): Promise<void> {
  if ((await stat(from).catch(() => undefined)) !== undefined) await cp(from, to, { recursive: true });
}

/** Removes what the platform does not need, and folders that are empty then. */
async function keepNeeded(modules: string, folder: string, platform: Platform): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await keepNeeded(modules, path, platform);
    else if (!isNeeded(relative(modules, path).replaceAll(sep, "/"), platform)) await rm(path);
  }
  if (folder !== modules && (await readdir(folder)).length === 0) await rmdir(folder);
}

async function sizeOf(folder: string): Promise<number> {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
