import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { writeMosquittoFiles } from "@muster/hub/testing";
import { freePort } from "../fleet/fleet.js";
import { Mosquitto } from "../fleet/mosquitto.js";
import { overHttps, overMqtt } from "./getting.js";
import { ask, forkGiver, measure } from "./giver.js";
import { comparisonText, median } from "./measure.js";
import { benchPki } from "./mosquitto-link.js";
import { type Place, prepare } from "./transfers.js";

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
      const [https] = await measure([overHttps(place)] as const, folder, rounds, sizeMb);
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
  const hub = forkGiver("mosquitto", place.folder, `${port}`);
  try {
    await once(hub, "message");
    const [speeds, all, hubOnly]: number[][] = [[], [], []];
    for (let round = 0; round <= rounds; round += 1) {
      const device = await overMqtt(place, "bench", 0).begin(port, round);
      const before = [(await ask(hub)).cpuUs, await broker.cpuUs()] as const;
      const beginMs = performance.now();
      await device.fetch();
      const ms = performance.now() - beginMs;
      const [ofHub, ofBroker] = [(await ask(hub)).cpuUs - before[0], (await broker.cpuUs()) - before[1]];
      await device.close();
      if (round === 0) continue;
      const perGb = (us: number) => us / 1e6 / (sizeMb / 1000);
      speeds?.push(sizeMb / (ms / 1000));
      all?.push(perGb(ofHub + ofBroker));
      hubOnly?.push(perGb(ofHub));
    }
    return { mbPerSecond: median(speeds ?? []), cpuPerGb: median(all ?? []), hubCpuPerGb: median(hubOnly ?? []) };
  } finally {
    hub.kill();
    await broker.stop();
  }
}
