import { execFile } from "node:child_process";
import { access, mkdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { toolPath } from "./tool.js";

const run = promisify(execFile);
const installMs = 300_000;
/** Outside of the checkout, so that a clean clone finds what another one fetched. */
const cache = join(homedir(), ".cache", "muster", "python");

/** A Python with a package of PyPI, or why there is none: PyPI cannot be reached. */
export type PythonWith = { readonly python: string } | { readonly unreachable: string };

/**
 * A Python with a package, such as `tritonclient[http]==2.73.0`, in a virtual environment of its own that is kept. Throws
 * when there is no Python, or the package cannot be installed although PyPI answers.
 */
export async function pythonWith(requirement: string): Promise<PythonWith> {
  const folder = join(cache, requirement.replace(/[^\w.-]+/g, "-"));
  const python = join(folder, "bin", "python");
  if (await exists(python)) return { python };
  const path = await toolPath("python3");
  // Complete or not at all: it is renamed into its place only when the package is in it.
  const building = `${folder}.${process.pid}`;
  await mkdir(cache, { recursive: true });
  try {
    const options = { timeout: installMs };
    await run(path, ["-m", "venv", building], options);
    const pip = [join(building, "bin", "python"), "-m", "pip", "--disable-pip-version-check"] as const;
    try {
      await run(pip[0], [...pip.slice(1), "install", "--quiet", "--only-binary", ":all:", requirement], options);
    } catch (error) {
      const why = await unreachable(pip, building);
      if (why !== undefined) return { unreachable: why };
      throw error;
    }
    await rename(building, folder).catch(async (error) => {
      // Another process was faster.
      if (!(await exists(python))) throw error;
    });
    return { python };
  } finally {
    await rm(building, { recursive: true, force: true });
  }
}

/** Why PyPI gives not even the smallest package, or undefined when it does. */
async function unreachable(
  [python, ...pip]: readonly [string, ...string[]],
  folder: string,
): Promise<string | undefined> {
  const args = [...pip, "download", "--quiet", "--no-deps", "--retries", "1", "--dest", folder, "six"];
  return run(python, args, { timeout: 60_000 }).then(
    () => undefined,
    (error: Error) => `PyPI cannot be reached: ${error.message.slice(0, 500)}`,
  );
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
