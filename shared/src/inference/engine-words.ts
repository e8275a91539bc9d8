import { messageOf } from "../errors.js";

/** A place in ONNX Runtime's source with the signature or the check that stands there. */
const place = /\/\S+\.(?:cc|cpp|cu|cuh|h|hpp):\d+ (?:[^[]*?\[with [^\]]*\] |.*? was false\. )/g;
/** Where a call of CUDA failed: its device, host, file and text. */
const where = / ; GPU=-?\d+ ; hostname=[\s\S]*$/;

/** What ONNX Runtime says of a failure, without the places in its source that it puts around it. */
export function engineWords(error: unknown): string {
  const text = messageOf(error);
  const plain = text.replaceAll(place, "").replace(where, "").trim();
  return plain === "" ? text : plain;
}
