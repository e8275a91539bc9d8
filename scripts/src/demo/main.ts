import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { messageOf } from "@muster/shared";
import { Cameras } from "./cameras.js";
import { Line } from "./line.js";
import { DemoFailure, Narrator } from "./narrator.js";
import { atWork, firstRollout, goodAndBroken, join3, killed, lampFails, pushFirst } from "./story.js";

const usage = `npm run demo [-- --exit]

Shows Muster at work on a packaging line with three devices, everything real and on this machine.
  --exit   end after the story instead of staying up; exit code 0 only if every step was as it should be
  --help   this text
`;

process.exitCode = await demo(process.argv.slice(2));

async function demo(args: readonly string[]): Promise<number> {
  const unknown = args.find((arg) => !["--exit", "--help"].includes(arg));
  if (unknown !== undefined || args.includes("--help")) {
    process.stdout.write(unknown === undefined ? usage : `unknown option ${unknown}\n\n${usage}`);
    return unknown === undefined ? 0 : 2;
  }
  const tell = new Narrator();
  // One folder per run, so that a demo that is still up is not disturbed.
  const folder = fileURLToPath(new URL(`../../../demo-data/${process.pid}`, import.meta.url));
  await rm(folder, { recursive: true, force: true });
  let line: Line | undefined;
  let cameras: Cameras | undefined;
  const interrupted = new Promise<"interrupted">((resolve) => {
    process.once("SIGINT", () => resolve("interrupted"));
    process.once("SIGTERM", () => resolve("interrupted"));
  });
  const story = async () => {
    tell.step("A hub starts in an empty folder");
    line = await Line.open(folder, tell);
    tell.check(
      "it made its database, keys and certificate authority, and listens",
      await line.hubAnswers(),
      line.hub.apiUrl,
    );
    await join3(line);
    await pushFirst(line);
    await firstRollout(line);
    cameras = new Cameras(line.agents, 120);
    await atWork(line, cameras);
    await lampFails(line, cameras);
    await goodAndBroken(line);
    await killed(line);
    return "told" as const;
  };
  try {
    const end = await Promise.race([story(), interrupted]);
    if (end === "interrupted") return 130;
    process.stdout.write(`\nAll ${tell.checks} checks hold.\n`);
    if (!args.includes("--exit") && line !== undefined) {
      stayUp(line);
      await interrupted;
    }
    return 0;
  } catch (error) {
    const kind = error instanceof DemoFailure ? "A step was not as it should be" : "The demo failed";
    process.stderr.write(
      `\n${kind}: ${messageOf(error)}\nLogs: ${join(folder, "hub.log")}, ${join(folder, "lyon-*/agent.log")}\n`,
    );
    return 1;
  } finally {
    await cameras?.stop();
    await line?.close();
  }
}

function stayUp({ hub, agents, folder }: Line): void {
  const lines = [
    "",
    "Everything stays up until Ctrl-C:",
    `  hub API     ${hub.apiUrl}   (OpenAPI: ${hub.apiUrl}/openapi.json)`,
    ...agents.map(({ device, inferenceUrl }) => `  ${device}      ${inferenceUrl}/v2/models/label-orientation`),
    `  data        ${folder}`,
    "",
    "Try in another terminal:",
    `  export MUSTER_HUB=${hub.apiUrl} MUSTER_TOKEN=$(cat ${join(hub.dataDir, "admin.token")})`,
    "  npx muster device ls",
    "  npx muster drift",
    "",
  ];
  process.stdout.write(lines.join("\n"));
}
