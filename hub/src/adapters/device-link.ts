import type { Log } from "@muster/shared";
import { systemClock } from "@muster/shared/node";
import type { HubConfig } from "../config.js";
import type { DeviceLink, Door, LinkListener, ListenerTls, OuterDoor, Pki } from "../ports.js";
import { openAedesBroker } from "./aedes-broker.js";
import { brokerCredentials } from "./broker-credentials.js";
import { openMqttBroker } from "./mqtt-broker.js";

/** What a link needs besides the configuration. */
export interface LinkParts {
  readonly pki: Pki;
  /** What the embedded broker shows. */
  readonly tls: ListenerTls;
  readonly door: Door & OuterDoor;
  readonly listener: LinkListener;
  readonly log: Log;
}

/** The embedded broker, or the way to the one that the configuration names. Throws `config/invalid`, `port/in-use`. */
export async function openDeviceLink(config: HubConfig, parts: LinkParts): Promise<DeviceLink> {
  const { pki, tls, door, listener, log } = parts;
  const { broker, mqttHost: host, mqttPort: port, publicHost } = config;
  if (broker === undefined)
    return openAedesBroker({ host, port, publicHost, listener, log, tls, door, limits: config });
  const { hub, device } = await brokerCredentials(broker, pki);
  return openMqttBroker({
    ...{ url: broker.url, deviceUrl: broker.deviceUrl ?? broker.url, door, listener, clock: systemClock, log },
    ...{ credentials: hub, deviceCredentials: device },
  });
}
