import { invalid, MusterError } from "@muster/shared";

/**
 * Lists and objects in one body. Each costs dozens of bytes of memory for one or two of the body: without a limit a body of
 * 20 MB could take more than a gigabyte.
 */
const maxNodes = 100_000;
/** Shorter ones do no harm, whatever they hold. */
const harmlessBytes = 64_000;
const [list, object] = ["[", "{"].map((mark) => mark.charCodeAt(0));

/** Reads JSON of a stranger. Throws `request/invalid`. */
export function parseJson(bytes: Buffer): unknown {
  if (bytes.length > harmlessBytes && nodesIn(bytes) > maxNodes) {
    const message = `the JSON has more than ${maxNodes} lists and objects; send data flat, or as binary tensors`;
    throw new MusterError("request/invalid", message);
  }
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    const problems = [{ field: "", message: `is no JSON: ${(cause as Error).message.slice(0, 200)}` }];
    throw invalid("request/invalid", "the request", problems);
  }
}

/** An upper bound: marks inside of texts count, too. */
function nodesIn(bytes: Buffer): number {
  let nodes = 0;
  for (let at = 0; at < bytes.length; at += 1) if (bytes[at] === list || bytes[at] === object) nodes += 1;
  return nodes;
}
