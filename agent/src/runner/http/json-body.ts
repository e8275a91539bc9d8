import { invalid, MusterError } from "@muster/shared";
import { isJsonBomb, maxJsonNodes } from "@muster/shared/inference";

/** Reads JSON of a stranger. Throws `request/invalid`. */
export function parseJson(bytes: Buffer): unknown {
  if (isJsonBomb(bytes)) {
    const message = `the JSON has more than ${maxJsonNodes} lists and objects; send data flat, or as binary tensors`;
    throw new MusterError("request/invalid", message);
  }
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    const problems = [{ field: "", message: `is no JSON: ${(cause as Error).message.slice(0, 200)}` }];
    throw invalid("request/invalid", "the request", problems);
  }
}
