import { readFile } from "node:fs/promises";
import type { z } from "zod";
import { invalid, MusterError, messageOf } from "../errors.js";
import { parseWith } from "../schema.js";
import { readYaml } from "../yaml-text.js";
import { isMissing } from "./durable-file.js";

/** Where the values of a configuration come from, weakest first: file, environment, flags. */
export interface ConfigSources {
  /** A YAML or JSON file. */
  readonly file?: string | undefined;
  /** Whether it is an error when the file is not there. */
  readonly fileRequired?: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Variables are `PREFIX_` and the key in upper snake case: `MUSTER_HUB_DATA_DIR` for `dataDir`. */
  readonly envPrefix: string;
  readonly flags: Readonly<Record<string, unknown>>;
}

/**
 * The configuration, defaults filled in and frozen. Throws `config/invalid` with all problems at once.
 * Lists and objects in variables are written as YAML or JSON.
 */
export async function loadConfig<S extends z.ZodObject>(
  schema: S,
  sources: ConfigSources,
): Promise<Readonly<z.output<S>>> {
  const merged: Record<string, unknown> = { ...(await fromFile(sources)) };
  for (const key of Object.keys(schema.shape)) {
    const variable = sources.env[`${sources.envPrefix}_${snake(key)}`];
    if (variable !== undefined) merged[key] = fromVariable(schema.shape[key], variable);
    if (sources.flags[key] !== undefined) merged[key] = sources.flags[key];
  }
  return Object.freeze(parseWith(schema, merged, "config/invalid", sources.file ?? "the configuration"));
}

async function fromFile({ file, fileRequired }: ConfigSources): Promise<Record<string, unknown>> {
  if (file === undefined) return {};
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    if (isMissing(cause) && fileRequired !== true) return {};
    throw new MusterError("config/invalid", `cannot read the configuration file ${file}: ${messageOf(cause)}`, {
      cause,
    });
  }
  const { value, problems } = readYaml(text);
  if (problems.length > 0) throw invalid("config/invalid", file, problems);
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new MusterError("config/invalid", `${file} must hold keys and values, for example 'dataDir: ./data'`);
  }
  return (value ?? {}) as Record<string, unknown>;
}

/** The text itself where text is wanted, so that a name such as `007` stays one; else what it says as YAML. */
function fromVariable(schema: z.ZodType | undefined, text: string): unknown {
  if (schema?.safeParse(text).success) return text;
  const { value, problems } = readYaml(text);
  return problems.length > 0 ? text : value;
}

function snake(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
