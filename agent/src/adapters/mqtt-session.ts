import { MusterError, messageOf } from "@muster/shared";
import mqtt, { type IClientOptions, type IConnackPacket, type IPublishPacket, type MqttClient } from "mqtt";
import type { BrokerOptions, BrokerSession, MessagePace } from "../ports.js";

const connectTimeoutMs = 15_000;

/**
 * {@link BrokerConnector} by MQTT.js, with what is needed to be safe with it: no reconnect of its own (it gives up after
 * a refusal, and brings fleets back in step), no queue of its own (lost with the process), no delay by Nagle's
 * algorithm, and acknowledgements when the message is done.
 */
export function connectBroker(options: BrokerOptions): Promise<BrokerSession> {
  return new Promise((resolve, reject) => {
    const client = mqtt.connect(options.url, clientOptions(options));
    // Every message under way listens for the end of the connection.
    client.setMaxListeners(0);
    const end = () => void client.end(options.abrupt === true || !client.connected);
    options.signal.addEventListener("abort", end);
    if (options.signal.aborted) end();
    let cause: Error | undefined;
    let over: (reason: string) => void = () => undefined;
    const ended = new Promise<string>((done) => {
      over = done;
    });
    client.on("error", (error) => {
      cause = error;
    });
    client.once("close", () => {
      options.signal.removeEventListener("abort", end);
      client.end(true);
      const reason = cause === undefined ? "the broker closed the connection" : messageOf(cause);
      over(reason);
      reject(new MusterError("link/closed", reason, cause === undefined ? {} : { cause }));
    });
    client.handleMessage = (packet, readOn) => takeMessage(client, options, packet, readOn);
    client.once("connect", ({ sessionPresent }: IConnackPacket) => {
      (client.stream as { setNoDelay?: (on: boolean) => void }).setNoDelay?.(true);
      const session = { ended, publish: publish.bind(undefined, client) };
      const open = () => {
        options.onOpen?.(session);
        resolve(session);
      };
      // A session that the broker kept still has them; a second time would bring retained messages again.
      if (sessionPresent || Object.keys(options.subscribe).length === 0) return open();
      const filters = Object.fromEntries(Object.entries(options.subscribe).map(([filter, qos]) => [filter, { qos }]));
      client.subscribe(filters, (error, granted) => {
        if (!error && granted?.every(({ qos }) => qos <= 2) === true) return open();
        cause ??= new Error("the broker refused a subscription: this login may not read the topic");
        client.end(true);
      });
    });
  });
}

function takeMessage(
  client: MqttClient,
  options: BrokerOptions,
  packet: IPublishPacket,
  readOn: (error?: Error) => void,
): void {
  const { topic, payload, qos, messageId } = packet;
  const pace = options.onMessage(topic, typeof payload === "string" ? Buffer.from(payload) : payload);
  if (pace === undefined) {
    readOn();
    return;
  }
  const isLate = qos === 1 && messageId !== undefined;
  if (isLate) acknowledgeLater(client, messageId, pace);
  // MQTT.js shows this error to nobody; it leaves the acknowledgement out and reads on.
  void pace.readOn.then(() => readOn(isLate ? new Error("acknowledged later") : undefined));
}

function clientOptions(options: BrokerOptions): IClientOptions {
  const { clientId, clean, keepaliveSeconds, user, password, ca, certificate, privateKey, will } = options;
  return {
    clientId,
    clean,
    keepalive: keepaliveSeconds,
    protocolVersion: 4,
    resubscribe: false,
    queueQoSZero: false,
    reconnectPeriod: 0,
    connectTimeout: connectTimeoutMs,
    rejectUnauthorized: true,
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(privateKey === undefined ? {} : { key: privateKey }),
    ...(will === undefined ? {} : { will: { ...will, qos: 1, retain: false } }),
  };
}

function publish(
  client: MqttClient,
  topic: string,
  payload: string | Buffer,
  { qos, retain = false }: { qos: 0 | 1; retain?: boolean },
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (!client.connected) throw new MusterError("link/closed", "there is no connection to the broker now");
    const lost = () => reject(new MusterError("link/closed", "the connection to the broker was lost"));
    client.once("close", lost);
    client.publish(topic, payload, { qos, retain }, (error) => {
      client.removeListener("close", lost);
      if (error) reject(new MusterError("link/closed", `message was not sent: ${messageOf(error)}`, { cause: error }));
      else resolve();
    });
  });
}

/**
 * MQTT.js acknowledges before it reads on, so one slow message would hold up all, and the answers to pings with them.
 * The four bytes of a PUBACK (MQTT 3.1.1, 3.4) go out on their own instead.
 */
function acknowledgeLater(client: MqttClient, messageId: number, { done }: MessagePace): void {
  const { stream } = client;
  const packet = Buffer.from([0x40, 2, messageId >> 8, messageId & 0xff]);
  void done.then((isDone) => {
    if (isDone && client.stream === stream && client.connected) stream.write(packet);
  });
}
