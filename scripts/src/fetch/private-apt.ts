import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { CannotFetch } from "./cannot-fetch.js";

const run = promisify(execFile);
const limitMs = 300_000;

/** Runs apt-get with these arguments, in a folder if one is given, and returns what it prints. Throws {@link CannotFetch}. */
export type Apt = (args: readonly string[], cwd?: string) => Promise<string>;

/**
 * An apt-get that works with lists and archives of its own below a folder, so that any user may call it and the machine stays
 * as it is. The lists are fetched, and verified with the machine's keys. Throws {@link CannotFetch}.
 */
export async function privateApt(folder: string, settings: Readonly<Record<string, string>> = {}): Promise<Apt> {
  const lists = join(folder, "lists");
  for (const made of [join(lists, "partial"), join(folder, "archives", "partial")]) {
    await mkdir(made, { recursive: true });
  }
  const all = {
    "Acquire::Languages": "none",
    "Dir::State::lists": lists,
    "Dir::Cache": folder,
    // Root's apt would else download as a user who may not write here.
    "APT::Sandbox::User": "root",
    ...settings,
  };
  const options = Object.entries(all).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  const apt: Apt = (args, cwd) => debianCommand("apt-get", [...options, ...args], cwd);
  await apt(["update"]);
  return apt;
}

/** Runs a command of Debian and returns what it prints. Throws {@link CannotFetch}, also where there is no such command. */
export async function debianCommand(name: string, args: readonly string[], cwd?: string): Promise<string> {
  try {
    const { stdout } = await run(name, args, { cwd, timeout: limitMs, maxBuffer: 16 * 1024 ** 2 });
    return stdout.trim();
  } catch (error) {
    throw new CannotFetch("packages of Debian", error);
  }
}
