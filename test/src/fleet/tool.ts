import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";

/** The path of a program of the system. `npm test` and `npm run bench` put what tests need on the PATH. Throws with the cure. */
export async function toolPath(name: string): Promise<string> {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(folder, name);
    if (await isProgram(path)) return path;
  }
  throw new Error(`there is no program ${name}; run tests by 'npm test', which fetches it, or install it`);
}

function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
