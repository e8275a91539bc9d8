import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { debianCommand, privateApt } from "../fetch/private-apt.js";

/** Where the packages were unpacked: those of this machine's architecture, and those of arm64. */
export interface Unpacked {
  readonly ours: string;
  readonly arm64: string;
}

/**
 * Unpacks Debian packages of this machine's release below a folder, without root and without installing anything. Throws
 * `CannotFetch`.
 */
export async function unpackDebian(
  folder: string,
  { ours, arm64 }: { readonly ours: readonly string[]; readonly arm64: readonly string[] },
): Promise<Unpacked> {
  const to = { ours: join(folder, "ours"), arm64: join(folder, "arm64") };
  const downloads = join(folder, "downloads");
  for (const made of [to.ours, to.arm64, downloads]) await mkdir(made, { recursive: true });
  const architecture = await debianCommand("dpkg", ["--print-architecture"]);
  const apt = await privateApt(folder, { "APT::Architectures::": "arm64", "Dir::State::status": "/dev/null" });
  const wanted = [...ours.map((name) => `${name}:${architecture}`), ...arm64.map((name) => `${name}:arm64`)];
  await apt(["download", ...wanted], downloads);
  for (const file of await readdir(downloads)) {
    const target = file.endsWith("_arm64.deb") ? to.arm64 : to.ours;
    await debianCommand("dpkg-deb", ["-x", join(downloads, file), target]);
  }
  return to;
}
