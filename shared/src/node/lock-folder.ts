import { mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { MusterError } from "../errors.js";

/**
 * Makes this process the only one that works in a folder, and returns how to let go. A lock whose
 * process is gone is taken over. Throws `store/in-use` naming the process.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, "lock");
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      const file = await open(path, "wx", 0o600);
      await file.writeFile(await processMark(process.pid));
      await file.close();
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const mark = await readFile(path, "utf8").catch(() => "");
    const owner = Number.parseInt(mark, 10);
    if (owner !== process.pid && isAlive(owner) && (await processMark(owner)) === mark) {
      throw new MusterError(
        "store/in-use",
        `process ${owner} works in ${folder} already; stop it or use another data folder`,
      );
    }
    await rm(path, { force: true });
  }
  throw new MusterError("store/in-use", `cannot lock ${folder}: another process keeps taking it`);
}

/**
 * Names a process so that another one that gets its number later, also after a reboot, has another name:
 * its number, the boot and its start time where Linux tells them.
 */
async function processMark(pid: number): Promise<string> {
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // Fields after the command, which is in brackets and may hold spaces; the start time is the 20th of them.
  const started = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  return `${pid} ${boot.trim()} ${started}`;
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
