/** A TypeScript file as the house rules see it. */
export interface Source {
  /** From the root of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with the contents of comments, strings and regular expressions blanked; lines stay where they are. */
  readonly code: string;
  readonly imports: readonly Import[];
}

/** One module a file imports, exports from, or loads later. */
export interface Import {
  readonly from: string;
  readonly line: number;
  /** Erased by the compiler. */
  readonly typeOnly: boolean;
}

/** Reads a file; nothing is checked yet. */
export function sourceOf(path: string, text: string): Source {
  const code = codeOf(text);
  return { path, text, code, imports: importsOf(text, code) };
}

/** The line, from 1, of a place in the text. */
export function lineOf(text: string, at: number): number {
  return text.slice(0, at).split("\n").length;
}

const importForms = [
  /^(?:import|export)\s+(?<type>type\s)?[^;"]*?\bfrom\s+"(?<from>[^"]+)"/gm,
  /^import\s+"(?<from>[^"]+)"/gm,
  /\bimport\("(?<from>[^"]+)"\)/g,
];

function importsOf(text: string, code: string): Import[] {
  return importForms.flatMap((form) =>
    [...text.matchAll(form)]
      .filter(({ index }) => code.startsWith(text.slice(index, index + 6), index))
      .map(({ index, groups }) => ({
        from: groups?.from ?? "",
        line: lineOf(text, index),
        typeOnly: groups?.type !== undefined,
      })),
  );
}

const skipped =
  /\/\*[\s\S]*?\*\/|\/\/.*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|(?<=[=(,:!&|?{};[>]\s*|\breturn\s+)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*|[`{}]/g;
const templateText = /(?:\\[\s\S]|\$(?!\{)|[^`\\$])*(?:`|\$\{)/y;

/** Blanks what is not code. Templates are text up to `${`, code up to its `}`, then text again. */
function codeOf(text: string): string {
  let code = "";
  let from = 0;
  /** For each template we are in: how many braces are open since its `${`. */
  const open: number[] = [];
  const copyTo = (end: number) => {
    code += text.slice(from, end);
    from = end;
  };
  const blankTo = (end: number) => {
    code += text.slice(from, end).replace(/[^\n]/g, " ");
    from = end;
  };
  for (;;) {
    skipped.lastIndex = from;
    const match = skipped.exec(text);
    copyTo(match?.index ?? text.length);
    if (match === null) return code;
    const [token] = match;
    const depth = open.at(-1);
    const leaves = token === "}" && depth === 0;
    if (leaves) open.pop();
    if (token === "`" || leaves) {
      templateText.lastIndex = from + 1;
      const end = templateText.exec(text)?.[0].length ?? text.length - from - 1;
      blankTo(from + 1 + end);
      if (text.endsWith("${", from)) open.push(0);
    } else if (token === "{" || token === "}") {
      if (depth !== undefined) open.push((open.pop() ?? 0) + (token === "{" ? 1 : -1));
      copyTo(from + 1);
    } else {
      blankTo(from + token.length);
    }
  }
}
