import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { AgentConfig } from "@muster/agent";
import { FolderShelf, Lanes, MemorySpool, mqttLanes, openMqttLink, Transfer, Uplink } from "@muster/agent/testing";
import { type Artifact, maxLanes } from "@muster/shared";
import { systemClock } from "@muster/shared/node";
import { OpensslCa } from "../fleet/openssl-ca.js";
import { nothing, quiet } from "./quiet.js";
import type { Place } from "./transfers.js";

/** A device of a benchmark: the agent's own link and transfer, without the rest of it. */
export interface Device {
  /** Fetches the artifact, or another one, into its shelf; with shortcuts, the shortest way. */
  fetch(other?: Artifact, shortcuts?: Parameters<Transfer["fetchArtifact"]>[3]): Promise<void>;
  /** Milliseconds until the hub's acknowledgement of a message is here, which waits behind the chunks under way. */
  controlMs(): Promise<number>;
  /** Disconnects and empties the shelf. */
  close(): Promise<void>;
}

/** A device that is connected, with an empty shelf in a folder of that name. */
export async function newDevice(
  { folder, artifact }: Place,
  port: number,
  device: string,
  name: string,
  transferLanes = AgentConfig.parse({}).transferLanes,
): Promise<Device> {
  const identity = join(folder, "identity");
  const pair = { certificate: join(identity, "ca.crt.pem"), key: join(identity, "ca.key.pem") };
  const issued = await (await OpensslCa.of(join(folder, "certificates", name), pair)).issue(device);
  const [ca = "", certificate = "", privateKey = ""] = await Promise.all(
    [pair.certificate, issued.certificate, issued.key].map((file) => readFile(file, "utf8")),
  );
  const credentials = async () => ({ mqttUrl: `mqtts://127.0.0.1:${port}`, ca, certificate, privateKey });
  const spool = () => new MemorySpool<never>({ stream: "bench", records: [] }, 10);
  const uplink = new Uplink({
    open: (handlers) => openMqttLink({ device, credentials, bootId: "b", handlers, clock: systemClock, log: quiet }),
    ...{ events: spool(), windows: spool(), clock: systemClock, log: quiet },
    say: {
      hello: async () => ({}) as never,
      reported: async () => ({}) as never,
      desired: nothing,
      upload: nothing,
      renewal: nothing,
    },
  });
  uplink.start();
  while (!uplink.connected) await systemClock.sleep(5);
  const target = join(folder, "devices", name);
  const shelf = await FolderShelf.open(target);
  const allowance = { paused: () => undefined, spend: nothing };
  const lanes = new Lanes({
    ...{
      main: () => uplink,
      open: mqttLanes(device, credentials),
      most: transferLanes,
      clock: systemClock,
      log: quiet,
    },
  });
  lanes.allow(maxLanes);
  const deps = { link: lanes, shelf, clock: systemClock, log: quiet, allowance, maxArtifactBytes: 5e9 };
  const transfer = new Transfer(deps);
  return {
    controlMs: async () => {
      const beginMs = performance.now();
      await uplink.renew({ request: "nobody-answers", csr: "none", certificate: "none", proof: "" });
      return performance.now() - beginMs;
    },
    fetch: (other = artifact, shortcuts) =>
      transfer.fetchArtifact(other, new AbortController().signal, nothing, shortcuts),
    close: async () => {
      await lanes.close();
      await uplink.close();
      await rm(target, { recursive: true });
    },
  };
}
