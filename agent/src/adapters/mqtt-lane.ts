import { downTopic, laneId, messageOf } from "@muster/shared";
import type { Credentials } from "../identity-store.js";
import type { OpenLane } from "../ports.js";
import { connectBroker } from "./mqtt-session.js";

const keepaliveSeconds = 30;

/** Opens lanes by MQTT, with the identity as it is then: each a connection that hears its chunks and says nothing. */
export function mqttLanes(
  device: string,
  credentials: () => Promise<Pick<Credentials, "mqttUrl" | "ca" | "certificate" | "privateKey">>,
): OpenLane {
  return async (lane, { onOpen, onFrame }, signal) => {
    const clientId = laneId(device, lane);
    try {
      const { mqttUrl: url, ca, certificate, privateKey } = await credentials();
      const session = await connectBroker({
        ...{ url, ca, certificate, privateKey, clientId, keepaliveSeconds, signal, onOpen },
        ...{ clean: true, abrupt: true },
        subscribe: { [downTopic(clientId, "chunk")]: 0 },
        onMessage: (_topic, payload) => {
          onFrame(payload);
          return undefined;
        },
      });
      return await session.ended;
    } catch (error) {
      return messageOf(error);
    }
  };
}
