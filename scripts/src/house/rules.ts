import { lineOf, type Source } from "./source.js";

/** A broken rule: where, which, and what to do about it. */
export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
  readonly advice: string;
}

/** What is wrong in one file. */
type FileRule = (source: Source) => Violation[];

/** Every violation, in the order of files and lines. */
export function violations(sources: readonly Source[]): Violation[] {
  const found = [
    ...sources.flatMap((source) => fileRules.flatMap((rule) => rule(source))),
    ...sharedLibraries(sources),
  ];
  return found.sort((a, b) => a.path.localeCompare(b.path) || a.line - b.line);
}

/** The only files that put adapters into the places made for them. */
const compositionRoots = ["agent/src/agent.ts", "agent/src/main.ts", "agent/src/runner/main.ts", "hub/src/hub.ts"];
/** The schema library is the language of our types, not a detail to hide. */
const everywhere = ["zod"];

/** Tests, and what only tests use. */
const isTest = ({ path }: Source) => path.endsWith(".test.ts") || path.includes("/testing/");
const isCore = ({ path }: Source) => /\/core\//.test(path);

const adaptersInRoots: FileRule = (source) => {
  const exempt = isTest(source) || source.path.includes("/adapters/") || compositionRoots.includes(source.path);
  if (exempt) return [];
  return source.imports
    .filter(({ from }) => from.startsWith(".") && from.includes("/adapters/"))
    .map(({ line, from }) => ({
      path: source.path,
      line,
      rule: "adapters-in-roots",
      advice: `take a port in by constructor instead of ${from}; only ${compositionRoots.join(", ")} import adapters`,
    }));
};

const pureCore: FileRule = (source) => {
  if (!isCore(source) || isTest(source)) return [];
  const impure = found(
    source,
    /\b(?:async|await|Promise)\b|\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bMath\.random\b|\bprocess\./g,
    "pure-core",
    (text) =>
      `'${text}' makes a decision depend on more than its arguments; take the value in, or move this out of core/`,
  );
  const outside = source.imports
    .filter(
      ({ from, typeOnly }) => from.startsWith("../") && !typeOnly && !/\/core\//.test(resolved(source.path, from)),
    )
    .map(({ line, from }) => ({
      path: source.path,
      line,
      rule: "pure-core",
      advice: `rooms call core, not the other way round; import only types from ${from}`,
    }));
  return [...impure, ...outside];
};

const moduleState: FileRule = (source) => {
  if (isTest(source)) return [];
  const advice = () => "state belongs to an object that is made in a composition root; put it in a class or a function";
  return [
    ...found(source, /^(?:export )?(?:let|var)\b/gm, "module-state", advice),
    ...found(
      source,
      /^(?:export )?const \w+(?:: [^=\n]+)? = new (?:Weak)?(?:Map|Set)(?:<.*>)?\(\);/gm,
      "module-state",
      advice,
    ),
  ];
};

const fileName: FileRule = ({ path }) => {
  const bad = /(?:^|[/-])(utils?|helpers?|managers?|handlers?|common|misc)(?=[./-])/.exec(path);
  if (bad === null) return [];
  return [
    { path, line: 1, rule: "file-name", advice: `'${bad[1]}' does not say what is inside; name the thing it is about` },
  ];
};

const fileRules: readonly FileRule[] = [adaptersInRoots, pureCore, moduleState, fileName];

/** Each third-party library is known to one file of a package. Types do not count: they are gone when it runs. */
function sharedLibraries(sources: readonly Source[]): Violation[] {
  const first = new Map<string, string>();
  return sources
    .filter((source) => !isTest(source) && !/^(?:test|scripts)\//.test(source.path))
    .flatMap((source) =>
      source.imports.flatMap(({ from, line, typeOnly }) => {
        const library = libraryOf(from);
        if (library === undefined || typeOnly || everywhere.includes(library)) return [];
        const key = `${source.path.split("/")[0]} ${library}`;
        const owner = first.get(key) ?? source.path;
        first.set(key, owner);
        if (owner === source.path) return [];
        const advice = `${owner} imports '${library}' already; let it be the one file that knows this library`;
        return [{ path: source.path, line, rule: "one-file-per-library", advice }];
      }),
    );
}

/** The package a specifier names; undefined for Node's modules and our own. */
function libraryOf(specifier: string): string | undefined {
  if (/^(?:\.|node:|@muster\/)/.test(specifier)) return undefined;
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

function resolved(path: string, specifier: string): string {
  return new URL(specifier, `file:///${path}`).pathname;
}

function found({ path, code }: Source, pattern: RegExp, rule: string, advice: (text: string) => string): Violation[] {
  return [...code.matchAll(pattern)].map(({ 0: text, index }) => ({
    path,
    line: lineOf(code, index),
    rule,
    advice: advice(text),
  }));
}
