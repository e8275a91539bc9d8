import { homedir } from "node:os";
import { systemClock } from "@muster/shared/node";
import type { Io, Output } from "./io.js";
import { runCli } from "./program.js";

// A reader that has seen enough (`muster device ls | head`) is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(process.exitCode ?? 0);
    throw error;
  });
}

const io: Io = {
  out: outputOf(process.stdout),
  err: outputOf(process.stderr),
  env: process.env,
  home: homedir(),
  clock: systemClock,
  interrupted,
};

process.exitCode = await runCli(io, process.argv.slice(2));
// What was written has to arrive; then nothing that is still open keeps the program alive.
process.stdout.write("", () => process.stderr.write("", () => process.exit()));

function outputOf(stream: NodeJS.WriteStream): Output {
  return {
    write: (text) => {
      stream.write(text);
    },
    isTerminal: stream.isTTY === true,
    get columns() {
      return stream.columns ?? 100;
    },
  };
}

/** Only the first Ctrl-C asks nicely; the second ends the program as usual. */
function interrupted(): AbortSignal {
  const controller = new AbortController();
  process.once("SIGINT", () => controller.abort());
  return controller.signal;
}
