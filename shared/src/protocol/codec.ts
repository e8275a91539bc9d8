import type { z } from "zod";
import { MusterError } from "../errors.js";
import { parseWith } from "../schema.js";

/** A message as the bytes of its JSON. */
export function encode(message: unknown): Buffer {
  return Buffer.from(JSON.stringify(message));
}

/** The message in the bytes, if it fits the schema. Throws `message/invalid`; `what` names the message. */
export function decode<S extends z.ZodType>(schema: S, bytes: Uint8Array, what: string): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (cause) {
    throw new MusterError("message/invalid", `${what} is not JSON`, { cause });
  }
  return parseWith(schema, value, "message/invalid", what);
}
