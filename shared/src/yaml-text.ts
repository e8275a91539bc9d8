import { isMap, isScalar, LineCounter, parseDocument } from "yaml";
import { messageOf, type Problem } from "./errors.js";

/** A YAML or JSON text that was read. */
export interface YamlText {
  /** What the text says; undefined when it has problems. */
  readonly value: unknown;
  /** Why it is no YAML; with the line and the place. */
  readonly problems: readonly Problem[];
  /** The line, from 1, of a field such as `variants[0].file`; undefined when the text does not have it. */
  lineOf(field: string): number | undefined;
}

/** Reads a YAML 1.2 text. Keys are text and appear once; aliases cannot blow it up. Never throws. */
export function readYaml(text: string): YamlText {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, stringKeys: true, logLevel: "error" });

  function lineOf(field: string): number | undefined {
    const path = field.split(/[.[\]]+/).filter((part) => part !== "");
    const last = path.at(-1);
    const steps = path.map((part) => (/^\d+$/.test(part) ? Number(part) : part));
    const parent = document.getIn(steps.slice(0, -1), true);
    const node = isMap(parent)
      ? parent.items.find(({ key }) => isScalar(key) && String(key.value) === last)?.key
      : document.getIn(steps, true);
    const start = (node as { range?: readonly number[] } | null | undefined)?.range?.[0];
    return start === undefined ? undefined : lines.linePos(start).line;
  }

  const problems = document.errors.map(({ message }) => ({ field: "", message }));
  if (problems.length > 0) return { value: undefined, problems, lineOf };
  try {
    return { value: document.toJS({ maxAliasCount: 100 }), problems, lineOf };
  } catch (error) {
    return { value: undefined, problems: [{ field: "", message: messageOf(error) }], lineOf };
  }
}
