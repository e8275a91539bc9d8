import type { Platform } from "./platform.js";

/** For compilers and debuggers. */
const development = /\.([cm]?ts|map)$/;
const ourTests = /^@muster\/[^/]+\/dist\/(.*\/)?(testing\/|testing\.js$|[^/]+\.test\.js$)/;
const runtimeLibrary = /^onnxruntime-node\/bin\/[^/]+\/([^/]+)\/([^/]+)\//;

/** Whether a device of the platform needs the file; the path is relative to `node_modules`, with `/`. */
export function isNeeded(path: string, { os, cpu }: Platform): boolean {
  const library = runtimeLibrary.exec(path);
  if (library !== null) return library[1] === os && library[2] === cpu;
  return !development.test(path) && !path.startsWith("@types/") && !ourTests.test(path);
}
