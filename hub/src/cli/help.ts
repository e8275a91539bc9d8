import type { Command } from "@muster/shared/node";

/** The line above the examples in the help of every command. */
export const examplesTitle = "Examples:";

/** Adds examples to the help of a command. */
export function withExamples(command: Command, ...lines: readonly string[]): Command {
  return command.addHelpText("after", `\n${examplesTitle}\n${lines.map((line) => `  $ ${line}`).join("\n")}`);
}

/** Collects an option that may be given several times. */
export function collected(value: string, before: string[] = []): string[] {
  return [...before, value];
}
