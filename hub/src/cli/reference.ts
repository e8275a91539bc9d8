import { type Command, everyCommand, exitCodes } from "@muster/shared/node";
import { configFile } from "./config.js";
import { examplesTitle } from "./help.js";
import type { Io, Output } from "./io.js";
import { cliProgram } from "./program.js";

/** The reference of the whole command line, as Markdown; `docs/cli.md` is this text. */
export function cliReference(): string {
  const help: string[] = [];
  const root = cliProgram(silentIo((text) => help.push(text)));
  const sections: string[] = [];
  everyCommand(root, (command) => {
    if (command === root || command.name() === "help") return;
    sections.push(section(command, examplesOf(command, help)));
  });
  return `${[introduction(root), ...sections].join("\n\n")}\n`;
}

function introduction(root: Command): string {
  const file = configFile({ env: {}, home: "~" });
  return [
    "# The muster command",
    "<!-- Written by hub/src/cli/reference.ts; do not edit. Again: node hub/dist/cli/reference-main.js > docs/cli.md -->",
    `${root.description()}. It speaks to a hub over its HTTP API only.`,
    "## Options of every command",
    optionTable(root),
    "## Configuration",
    `\`hub\`, \`token\`, \`tokenFile\` and \`ca\` can also stand in a YAML file: the one \`MUSTER_CONFIG\` names, else
\`$XDG_CONFIG_HOME/muster/config.yaml\`, else \`${file}\`. The variables \`MUSTER_HUB\`, \`MUSTER_TOKEN\`,
\`MUSTER_TOKEN_FILE\` and \`MUSTER_CA\` go before the file, options before both. Colours and bars appear on a terminal only;
\`NO_COLOR\` turns the colours off.`,
    "## Exit codes",
    exitCodeTable(),
    "## Commands",
    commandList(root),
  ].join("\n\n");
}

function exitCodeTable(): string {
  const meanings: Record<keyof typeof exitCodes, string> = {
    done: "done",
    error: "it did not work; the message ends with a stable error code in brackets",
    usage: "the command line or the configuration does not fit",
    gateFailed: "a rollout did not pass: halted, rolled back, or completed with failures",
    timedOut: "the time given to a watch is over and the rollout goes on",
  };
  const names = Object.keys(exitCodes) as (keyof typeof exitCodes)[];
  const rows = names.map((name) => `| ${exitCodes[name]} | ${meanings[name]} |`);
  return ["| Code | Means |", "|---|---|", ...rows, "| 130 | stopped with Ctrl-C |"].join("\n");
}

function commandList(root: Command): string {
  const lines: string[] = [];
  everyCommand(root, (command) => {
    if (command === root || command.commands.length > 0 || command.name() === "help") return;
    lines.push(`- [\`${nameOf(command)}\`](#${nameOf(command).replaceAll(" ", "-")}): ${command.description()}`);
  });
  return lines.join("\n");
}

function section(command: Command, examples: string): string {
  const isGroup = command.commands.length > 0;
  const parts = [`${command.parent?.parent ? "###" : "##"} ${nameOf(command)}`, sentence(command.description())];
  if (!isGroup) parts.push(`\`\`\`text\n${nameOf(command)} ${command.usage()}\n\`\`\``);
  if (command.registeredArguments.length > 0) {
    const rows = command.registeredArguments.map((one) => `| \`${one.name()}\` | ${one.description} |`);
    parts.push(["| Argument | Means |", "|---|---|", ...rows].join("\n"));
  }
  if (command.options.length > 0) parts.push(optionTable(command));
  if (examples !== "" && !isGroup) parts.push(`\`\`\`sh\n${examples}\n\`\`\``);
  return parts.join("\n\n");
}

function optionTable(command: Command): string {
  const rows = command.options.map(({ flags, description, argChoices }) => {
    const choices = argChoices === undefined ? "" : `; one of ${argChoices.join(", ")}`;
    return `| \`${flags}\` | ${description}${choices} |`;
  });
  return ["| Option | Means |", "|---|---|", ...rows].join("\n");
}

/** The examples stand only in the printed help, below their title. */
function examplesOf(command: Command, help: string[]): string {
  help.length = 0;
  command.outputHelp();
  const [, examples = ""] = help.join("").split(`${examplesTitle}\n`);
  return examples.trim().replace(/^\s*\$ /gm, "");
}

function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** An outside world in which nothing is done, because no command is run. */
function silentIo(write: (text: string) => void): Io {
  const output: Output = { write, isTerminal: false, columns: 100 };
  const clock = { now: () => 0, steady: () => 0, sleep: () => Promise.resolve() };
  return { out: output, err: output, env: {}, home: "", clock, interrupted: () => new AbortController().signal };
}
