import { execFile } from "node:child_process";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { CannotFetch } from "./cannot-fetch.js";

const run = promisify(execFile);
const downloadMs = 300_000;

/** Where the packages were unpacked: those of this machine's architecture, and those of arm64. */
export interface Unpacked {
  readonly ours: string;
  readonly arm64: string;
}

/**
 * Unpacks Debian packages of this machine's release below a folder, without root and without installing anything: apt
 * works with lists of its own there, and verifies them with the machine's keys. Throws {@link CannotFetch}.
 */
export async function unpackDebian(
  folder: string,
  { ours, arm64 }: { readonly ours: readonly string[]; readonly arm64: readonly string[] },
): Promise<Unpacked> {
  const to = { ours: join(folder, "ours"), arm64: join(folder, "arm64") };
  const downloads = join(folder, "downloads");
  const lists = join(folder, "lists");
  for (const made of [to.ours, to.arm64, downloads, join(lists, "partial"), join(folder, "archives", "partial")]) {
    await mkdir(made, { recursive: true });
  }
  const architecture = await command("dpkg", ["--print-architecture"]);
  const settings = {
    "APT::Architectures::": "arm64",
    "Acquire::Languages": "none",
    "Dir::State::lists": lists,
    "Dir::State::status": "/dev/null",
    "Dir::Cache": folder,
    // Root's apt would else download as a user who may not write here.
    "APT::Sandbox::User": "root",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  await command("apt-get", [...options, "update"]);
  const wanted = [...ours.map((name) => `${name}:${architecture}`), ...arm64.map((name) => `${name}:arm64`)];
  await command("apt-get", [...options, "download", ...wanted], downloads);
  for (const file of await readdir(downloads)) {
    await run("dpkg-deb", ["-x", join(downloads, file), file.endsWith("_arm64.deb") ? to.arm64 : to.ours]);
  }
  return to;
}

async function command(name: string, args: readonly string[], cwd?: string): Promise<string> {
  try {
    const { stdout } = await run(name, args, { cwd, timeout: downloadMs, maxBuffer: 16 * 1024 ** 2 });
    return stdout.trim();
  } catch (error) {
    throw new CannotFetch("packages of Debian", error);
  }
}
