import type { z } from "zod";
import { type ErrorCode, invalid, type Problem } from "./errors.js";

/** The problems of a failed parse, with paths as a person writes them: `waves[1].percent`. */
export function problemsOf(error: z.ZodError): Problem[] {
  return error.issues.flatMap((issue) => {
    const field = pathText(issue.path);
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({ field: pathText([...issue.path, key]), message: "unknown key; remove it" }));
    }
    return [{ field, message: plain(issue.message) }];
  });
}

/** What people call the types of a document. */
const typeNames: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "keys and values",
  record: "keys and values",
  null: "nothing",
  undefined: "nothing",
};

/** Zod's words for a value of the wrong type, in ours; any other message as it is. */
function plain(message: string): string {
  const [, expected, received] = /^Invalid input: expected (\w+), received (\w+)$/.exec(message) ?? [];
  if (expected === undefined || received === undefined) return message;
  const wanted = typeNames[expected] ?? expected;
  return received === "undefined"
    ? `is missing; it has to be ${wanted}`
    : `has to be ${wanted}, not ${typeNames[received] ?? received}`;
}

/**
 * The value, if it fits the schema. Throws one error with the given code that lists all problems;
 * `what` names the thing in the message.
 */
export function parseWith<S extends z.ZodType>(schema: S, value: unknown, code: ErrorCode, what: string): z.output<S> {
  const result = schema.safeParse(value);
  if (!result.success) throw invalid(code, what, problemsOf(result.error));
  return result.data;
}

function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    return text === "" ? String(part) : `${text}.${String(part)}`;
  }, "");
}
