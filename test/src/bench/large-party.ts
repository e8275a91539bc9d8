// Hub or device of the four-gigabyte benchmark, each a process of its own; does one thing for each message.
import { readFile } from "node:fs/promises";
import type { Artifact, TransferHint } from "@muster/shared";
import { largeModel } from "./large-model.js";
import { PublishingHub } from "./publishing-hub.js";
import { newDevice } from "./transfer-device.js";

/** What a device is told to fetch. */
export interface LargeFetch {
  readonly artifact: Artifact;
  readonly hint?: TransferHint;
  readonly seeds: readonly Artifact[];
}

const [kind, folder = "", port = "0", first = "null"] = process.argv.slice(2);
const work = kind === "hub" ? await beHub() : await beDevice();
process.on("message", (message) => {
  void work(message).then((answer) => process.send?.(answer));
});

async function beHub() {
  const hub = await PublishingHub.open(folder, "bench");
  const random = await readFile(`${folder}/seed`);
  process.send?.({ port: hub.port });
  return (version: unknown) => hub.publish("large", largeModel(version === 1 ? 1 : 2, random));
}

async function beDevice() {
  const artifact = JSON.parse(first) as Artifact;
  const device = await newDevice({ folder, artifact }, Number(port), "bench", "large");
  process.send?.({});
  return async (asked: unknown) => {
    const { artifact: wanted, ...shortcuts } = asked as LargeFetch;
    await device.fetch(wanted, shortcuts);
    return {};
  };
}
