import { createRequire } from "node:module";
import { type Command, program, runProgram } from "@muster/shared/node";
import { auditCommands } from "./commands/audit.js";
import { brokerConfigCommand } from "./commands/broker-config.js";
import { deviceCommands } from "./commands/device.js";
import { driftCommand } from "./commands/drift.js";
import { engineCommands } from "./commands/engine.js";
import { hubCommand } from "./commands/hub.js";
import { keyCommands } from "./commands/key.js";
import { modelCommands } from "./commands/model.js";
import { rolloutCommands } from "./commands/rollout.js";
import { statusCommand } from "./commands/status.js";
import { telemetryCommands } from "./commands/telemetry.js";
import { tokenCommands } from "./commands/token.js";
import { userCommands } from "./commands/user.js";
import { withExamples } from "./help.js";
import type { Io } from "./io.js";
import { Session } from "./session.js";

/** The whole `muster` command line, printing to the given outputs. */
export function cliProgram(io: Io): Command {
  const description = "Brings ONNX models to a fleet of edge devices and keeps them healthy there";
  const root = program("muster", description, packageVersion())
    .option("--hub <url>", "address of the hub's API (default: http://127.0.0.1:7400)")
    .option(
      "--token <token>",
      "token that opens the API; other users of this machine can see it, so prefer --token-file",
    )
    .option("--token-file <file>", "file that holds the token")
    .option("--ca <file>", "PEM file with the CA that signed the hub's certificate")
    .option("--json", "print the hub's answer as JSON and nothing else")
    .configureOutput({
      writeOut: (text) => io.out.write(text),
      writeErr: (text) => io.err.write(text),
      getOutHelpWidth: () => Math.min(io.out.columns, 120),
      getErrHelpWidth: () => Math.min(io.err.columns, 120),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  withExamples(
    root,
    "muster hub",
    "muster device invite --label site=lyon",
    "muster model push ./defects && muster rollout start defects 1.0.0 --watch",
  );
  const session = new Session(io, root);
  hubCommand(root);
  brokerConfigCommand(root, session);
  statusCommand(root, session);
  deviceCommands(root, session);
  modelCommands(root, session);
  engineCommands(root, session);
  rolloutCommands(root, session);
  telemetryCommands(root, session);
  driftCommand(root, session);
  keyCommands(root, session);
  userCommands(root, session);
  tokenCommands(root, session);
  auditCommands(root, session);
  return root;
}

/** Runs one command line and returns its exit code. */
export function runCli(io: Io, argv: readonly string[]): Promise<number> {
  const root = cliProgram(io);
  return runProgram(root, argv, () => root.opts().json === true);
}

function packageVersion(): string {
  return (createRequire(import.meta.url)("../../package.json") as { version: string }).version;
}
