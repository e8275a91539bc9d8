import type { BrokerConnector, BrokerSession } from "../ports.js";
import { brokerLogin } from "./broker-login.js";
import { type MqttSink, shownAddress } from "./feed-settings.js";
import type { Environment } from "./secret.js";
import type { SinkRecord } from "./sink.js";
import type { Delivery } from "./spooled-sink.js";

export interface MqttDeliveryDeps {
  readonly settings: MqttSink;
  readonly clientId: string;
  readonly connect: BrokerConnector;
  readonly env: Environment;
}

/** Publishes each answer to a topic with QoS 1: it counts as handed over once the broker has it. */
export class MqttDelivery implements Delivery {
  readonly type = "mqtt";
  readonly target: string;
  /** So many may be under way to the broker. */
  readonly batch = 20;
  readonly #deps: MqttDeliveryDeps;
  readonly #leave = new AbortController();
  #session: BrokerSession | undefined;

  constructor(deps: MqttDeliveryDeps) {
    this.#deps = deps;
    this.target = brokerTarget(deps.settings);
  }

  async deliver(records: readonly SinkRecord[]): Promise<void> {
    const { topic, retain } = this.#deps.settings;
    const session = await this.#connected();
    const sent = records.map((record) =>
      session.publish(topic.replaceAll("{model}", record.model), JSON.stringify(record), { qos: 1, retain }),
    );
    // All of them, so that none is still under way when the next attempt begins.
    const failed = (await Promise.allSettled(sent)).find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
  }

  async close(): Promise<void> {
    const { ended } = this.#session ?? {};
    this.#leave.abort();
    await ended;
  }

  async #connected(): Promise<BrokerSession> {
    if (this.#session !== undefined) return this.#session;
    const { settings, clientId, connect, env } = this.#deps;
    const session = await connect({
      ...(await brokerLogin(settings, env)),
      ...{ clientId, clean: true, subscribe: {}, signal: this.#leave.signal },
      onMessage: () => undefined,
    });
    this.#session = session;
    void session.ended.then(() => {
      this.#session = undefined;
    });
    return session;
  }
}

/** Broker and topic, as they may be shown. */
export function brokerTarget({ url, topic }: { readonly url: string; readonly topic: string }): string {
  return `${shownAddress(url).replace(/\/$/, "")}/${topic}`.slice(0, 300);
}
