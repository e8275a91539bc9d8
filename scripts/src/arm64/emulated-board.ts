import { chmod, cp, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { madeOnce } from "../fetch/made-once.js";
import { fetchNode, nodeVersion } from "./arm64-node.js";
import { unpackDebian } from "./debian-packages.js";
import { boardModel, cpuInfo } from "./raspberry-pi.js";

/** Raised with every change that makes another board of the same packages. */
const recipe = 1;
const emulator = "qemu-aarch64-static";

/**
 * A Raspberry Pi 4 as far as QEMU's user mode goes: its processor, Debian's arm64 libraries and an arm64 Node on this
 * machine's kernel, cores and memory. What is fetched is kept in the cache folder. Returns the file to call in place of
 * `node`, which is written into `folder`. Throws `CannotFetch`.
 */
export async function emulatedBoard(cache: string, folder: string): Promise<string> {
  const machine = await madeOnce(join(cache, `machine-${recipe}`), fetchMachine);
  const node = await madeOnce(join(cache, `node-${nodeVersion}`), fetchNode);
  const launcher = join(folder, "node");
  const execPath = join(folder, "exec-path.cjs");
  const run = [join(machine, emulator), "-cpu", "cortex-a72", "-L", join(machine, "root"), join(node, "node")];
  await writeFile(execPath, `process.execPath = ${JSON.stringify(launcher)};\n`);
  await writeFile(launcher, launcherText(run, execPath));
  await chmod(launcher, 0o755);
  return launcher;
}

/** The kernel cannot start an arm64 program, so a child process has to begin with the emulator too. */
function launcherText(run: readonly string[], execPath: string): string {
  const require = `--require ${JSON.stringify(execPath)}`;
  return `#!/bin/sh
export NODE_OPTIONS=${shellWord(require)}
exec ${run.map(shellWord).join(" ")} "$@"
`;
}

function shellWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

async function fetchMachine(folder: string): Promise<void> {
  const work = join(folder, "unpacked");
  const { ours, arm64 } = await unpackDebian(work, {
    ours: ["qemu-user-static"],
    arm64: ["libc6", "libgcc-s1", "libstdc++6"],
  });
  await cp(join(ours, "usr", "bin", emulator), join(folder, emulator));
  const root = join(folder, "root");
  await rename(arm64, root);
  await mkdir(join(root, "proc", "device-tree"), { recursive: true });
  await writeFile(join(root, "proc", "cpuinfo"), cpuInfo(cpus().length));
  await writeFile(join(root, "proc", "device-tree", "model"), `${boardModel}\0`);
  await rm(work, { recursive: true });
}
