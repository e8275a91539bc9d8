import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { sha256 } from "@muster/shared";
import { program, runProgram } from "@muster/shared/node";
import { packAgent } from "./pack-agent.js";
import { platformNames } from "./platform.js";

const checkout = fileURLToPath(new URL("../../..", import.meta.url));
const { version } = JSON.parse(await readFile(join(checkout, "package.json"), "utf8")) as { version: string };

const root = program("pack:agent", "Packs the agent for a platform into one file.", version)
  .requiredOption("--platform <name>", `one of ${platformNames.join(", ")}`)
  .option("--out <folder>", "where the file goes", join(checkout, "packed"))
  .action(async ({ platform, out }: { platform: string; out: string }) => {
    // What root unpacks has to be readable for the user the agent runs as.
    process.umask(0o022);
    const { file, unpackedBytes } = await packAgent(checkout, platform, out);
    const bytes = await readFile(file);
    process.stdout.write(`${file}\n${megabytes(bytes.length)}, unpacked ${megabytes(unpackedBytes)}\n`);
    process.stdout.write(`sha256 ${sha256(bytes)}\n`);
  });
process.exitCode = await runProgram(root, process.argv.slice(2));

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
