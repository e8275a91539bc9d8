import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeMosquittoFiles } from "@muster/hub/testing";
import { freePort } from "../fleet/fleet.js";
import { Mosquitto } from "../fleet/mosquitto.js";
import { comparisonText, median } from "./measure.js";
import { benchPki } from "./mosquitto-link.js";
import { ask, measure, overHttps, overMqtt, type Place, prepare } from "./transfers.js";

const megabyte = 1_000_000;
const rounds = 5;

/** One device, one file, through a Mosquitto with mutual TLS on both ways, beside one HTTPS download from the hub's process. */
export async function benchMosquitto(): Promise<string> {
  const texts: string[] = [];
  for (const sizeMb of [1, 20, 100, 1000]) {
    const folder = await mkdtemp(join(tmpdir(), "muster-bench-"));
    try {
      const place = await prepare(folder, sizeMb * megabyte);
      const ours = await throughMosquitto(place, sizeMb);
      const https = await measure("https", folder, rounds, sizeMb, (port, round) => overHttps(place, port, round));
      texts.push(
        comparisonText(`One device, ${sizeMb} MB through Mosquitto, mutual TLS on both ways`, "HTTPS", [
          { what: "throughput", ours: ours.mbPerSecond, plain: https.mbPerSecond, unit: "MB/s" },
          { what: "processor time of hub and Mosquitto per GB", ours: ours.cpuPerGb, plain: https.cpuPerGb, unit: "s" },
          { what: "of that the hub", ours: ours.hubCpuPerGb, plain: https.cpuPerGb, unit: "s" },
        ]),
      );
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  return texts.join("\n\n");
}

async function throughMosquitto(
  place: Place,
  sizeMb: number,
): Promise<{ mbPerSecond: number; cpuPerGb: number; hubCpuPerGb: number }> {
  const files = join(place.folder, "broker");
  const port = await freePort();
  await writeMosquittoFiles({ folder: files, hosts: ["127.0.0.1"], port, pki: await benchPki(place.folder) });
  const broker = await Mosquitto.start(files, port);
  const script = fileURLToPath(new URL("./transfer-hub.js", import.meta.url));
  const hub = fork(script, ["mosquitto", place.folder, `${port}`], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  try {
    await once(hub, "message");
    await overMqtt(place, port, 0);
    const [speeds, all, hubOnly]: number[][] = [[], [], []];
    for (let round = 1; round <= rounds; round += 1) {
      const before = [(await ask(hub)).cpuUs, await broker.cpuUs()] as const;
      speeds?.push(sizeMb / ((await overMqtt(place, port, round)) / 1000));
      const perGb = (us: number) => us / 1e6 / (sizeMb / 1000);
      const [ofHub, ofBroker] = [(await ask(hub)).cpuUs - before[0], (await broker.cpuUs()) - before[1]];
      all?.push(perGb(ofHub + ofBroker));
      hubOnly?.push(perGb(ofHub));
    }
    return { mbPerSecond: median(speeds ?? []), cpuPerGb: median(all ?? []), hubCpuPerGb: median(hubOnly ?? []) };
  } finally {
    hub.kill();
    await broker.stop();
  }
}
