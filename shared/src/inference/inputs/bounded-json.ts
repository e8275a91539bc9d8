import { MusterError, messageOf } from "../../errors.js";

/**
 * Lists and objects in one body. Each costs dozens of bytes of memory for one or two of the body: without a limit a body of
 * 20 MB could take more than a gigabyte.
 */
export const maxJsonNodes = 100_000;
/** Shorter ones do no harm, whatever they hold. */
const harmlessBytes = 64_000;
const [list, object] = ["[", "{"].map((mark) => mark.charCodeAt(0));

/** Whether JSON of a stranger would take far more memory than it has bytes. Marks inside of texts count, too. */
export function isJsonBomb(bytes: Uint8Array): boolean {
  if (bytes.length <= harmlessBytes) return false;
  let nodes = 0;
  for (let at = 0; at < bytes.length; at += 1) if (bytes[at] === list || bytes[at] === object) nodes += 1;
  return nodes > maxJsonNodes;
}

/** Reads JSON of a stranger. Throws `input/invalid`. */
export function parseInputJson(bytes: Uint8Array): unknown {
  if (isJsonBomb(bytes)) {
    throw new MusterError(
      "input/invalid",
      `the JSON has more than ${maxJsonNodes} lists and objects; send less at a time`,
    );
  }
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new MusterError("input/invalid", `the JSON cannot be read: ${messageOf(cause)}`, { cause });
  }
}
