import { Command, CommanderError, InvalidArgumentError } from "commander";
import { asMusterError } from "../errors.js";
import { parseDuration } from "../units.js";

export { Command } from "commander";

/** What a command's exit code says; scripts may rely on them. */
export const exitCodes = { done: 0, error: 1, usage: 2, gateFailed: 3, timedOut: 4 } as const;

/** A command that ends with a code of its own although nothing was thrown by mistake. */
export class ExitWith extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message = "") {
    super(message);
    this.exitCode = exitCode;
  }
}

/** A program with the habits all of ours share: errors on stderr, exit code 2 for usage, "did you mean". */
export function program(name: string, description: string, version: string): Command {
  return new Command(name)
    .description(description)
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand("help [command]", "print help of a command")
    .showSuggestionAfterError(true)
    .showHelpAfterError(`(try '${name} --help')`)
    .configureHelp({ showGlobalOptions: true });
}

/** Runs the program and returns its exit code; every error becomes one clear message on stderr. */
export async function runProgram(
  root: Command,
  argv: readonly string[],
  json: () => boolean = () => false,
): Promise<number> {
  everyCommand(root, (command) => command.exitOverride());
  try {
    await root.parseAsync([...argv], { from: "user" });
    return exitCodes.done;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
    if (error instanceof ExitWith) {
      if (error.message !== "") process.stderr.write(`${error.message}\n`);
      return error.exitCode;
    }
    const { code, message, problems } = asMusterError(error);
    if (json()) process.stderr.write(`${JSON.stringify({ error: { code, message, problems } })}\n`);
    else process.stderr.write(`error: ${message} [${code}]\n`);
    return code === "config/invalid" || code === "usage/invalid" || code === "selector/invalid"
      ? exitCodes.usage
      : exitCodes.error;
  }
}

/** Calls `visit` for the command and all below it. */
export function everyCommand(command: Command, visit: (command: Command) => void): void {
  visit(command);
  for (const child of command.commands) everyCommand(child, visit);
}

/** An option value such as `30s` or `10min`, in milliseconds. */
export function durationOption(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError("Give a duration such as 500ms, 30s, 10min, 2h or 7d.");
  return ms;
}

/** A whole-number option value. */
export function integerOption(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("Give a whole number.");
  return Number(text);
}

/** Collects `key=value` options into one record; may be given several times or separated by commas. */
export function labelsOption(text: string, before: Record<string, string> = {}): Record<string, string> {
  const labels = { ...before };
  for (const part of text.split(/[,\s]+/).filter((item) => item !== "")) {
    const at = part.indexOf("=");
    if (at < 1) throw new InvalidArgumentError(`'${part}' is no label; write key=value.`);
    labels[part.slice(0, at)] = part.slice(at + 1);
  }
  return labels;
}
