import { join } from "node:path";
import type { TestContext } from "node:test";
import {
  type Bench,
  brokerCredentials,
  openMqttBroker,
  openPki,
  until,
  writeMosquittoFiles,
} from "@muster/hub/testing";
import type { Log } from "@muster/shared";
import { systemClock } from "@muster/shared/node";
import { temporaryFolder } from "../e2e/place.js";
import { freePort } from "./fleet.js";
import { Mosquitto } from "./mosquitto.js";

/** A Mosquitto of its own, and a hub's link to it, both ended with the test. */
export interface MosquittoBench extends Bench {
  readonly broker: Mosquitto;
  /** Where its files are. */
  readonly folder: string;
  /** Events that the link has logged. */
  readonly logged: string[];
  /** How often the way to the broker has opened. */
  opens(): number;
}

/** Starts a real Mosquitto with the files a hub writes for it, and connects to it with a certificate of the hub's CA. */
export async function mosquittoBench(t: TestContext): Promise<MosquittoBench> {
  const folder = await temporaryFolder(t);
  const settings = { publicHost: "127.0.0.1", deviceCertificateMs: 86_400_000, clock: systemClock };
  const pki = await openPki({ folder: join(folder, "identity"), files: {}, ...settings });
  const { authority } = pki;
  if (authority === undefined) throw new Error("a CA of one's own signs");
  const port = await freePort();
  const files = join(folder, "broker");
  await writeMosquittoFiles({ folder: files, hosts: ["127.0.0.1"], port, pki });
  const broker = await Mosquitto.start(files, port);
  t.after(() => broker.stop());
  const [heard, gone, revoked, logged] = [[] as Bench["heard"], [] as string[], new Set<string>(), [] as string[]];
  const note = (event: string) => logged.push(event);
  const log: Log = { debug: note, info: note, warn: note, error: note };
  let opens = 0;
  const url = `mqtts://127.0.0.1:${port}`;
  const credentials = await brokerCredentials({ url }, pki);
  const link = openMqttBroker({
    ...{ url, deviceUrl: url, credentials: credentials.hub, deviceCredentials: credentials.device },
    door: {
      shut: (device) => (revoked.has(device) ? { count: "certificate-revoked", reason: "test" } : undefined),
    },
    listener: {
      onMessage: (device, kind, payload) => heard.push({ device, kind, payload }),
      onAlive: () => undefined,
      onGone: (device) => gone.push(device),
      onOpen: () => {
        opens += 1;
      },
    },
    clock: systemClock,
    log,
  });
  t.after(() => link.close());
  await until("the link is open", () => opens > 0);
  return { link, authority, heard, gone, revoked, broker, folder: files, logged, opens: () => opens };
}
