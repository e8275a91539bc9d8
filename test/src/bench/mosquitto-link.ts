import { join } from "node:path";
import { brokerCredentials, type DeviceLink, type LinkListener, openMqttBroker, openPki } from "@muster/hub/testing";
import { systemClock } from "@muster/shared/node";
import { quiet } from "./quiet.js";

/** The CA in the folder of a benchmark. */
export function benchPki(folder: string): ReturnType<typeof openPki> {
  const settings = { publicHost: "127.0.0.1", deviceCertificateMs: 86_400_000, clock: systemClock };
  return openPki({ folder: join(folder, "identity"), files: {}, ...settings });
}

/** A hub's link to a Mosquitto on this machine, once it is open. */
export async function mosquittoLink(folder: string, port: string, listener: LinkListener): Promise<DeviceLink> {
  const url = `mqtts://127.0.0.1:${port}`;
  const { hub, device } = await brokerCredentials({ url }, await benchPki(folder));
  return new Promise((resolve) => {
    const link = openMqttBroker({
      ...{ url, deviceUrl: url, credentials: hub, deviceCredentials: device, clock: systemClock, log: quiet },
      door: { shut: () => undefined },
      listener: { ...listener, onOpen: () => resolve(link) },
    });
  });
}
