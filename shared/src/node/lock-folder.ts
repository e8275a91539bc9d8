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
      await file.writeFile(String(process.pid));
      await file.close();
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const owner = Number(await readFile(path, "utf8").catch(() => ""));
    if (owner !== process.pid && isAlive(owner)) {
      throw new MusterError(
        "store/in-use",
        `process ${owner} works in ${folder} already; stop it or use another data folder`,
      );
    }
    await rm(path, { force: true });
  }
  throw new MusterError("store/in-use", `cannot lock ${folder}: another process keeps taking it`);
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
