import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  acceptDesired,
  type ChunkReply,
  type ChunkRequest,
  Command,
  type Desired,
  decode,
  decodeFrame,
  downKinds,
  downTopic,
  encode,
  encodeFrame,
  type Hardware,
  openRoot,
  type ReportedModel,
  type UpKind,
  type UploadCommand,
  upTopic,
} from "@muster/shared";
import mqtt, { type MqttClient } from "mqtt";
import { AgentMachine, eventually, type HubMachine } from "./fleet.js";

/** A device without an agent: it says what the test has it say, and verifies what it is told as an agent does. */
export class HandDevice {
  readonly id: string;
  readonly #client: MqttClient;
  #accepted: ReturnType<typeof acceptDesired>;
  #seq = 0;
  #transfer = 0;
  readonly #answers: (ChunkReply | ReturnType<typeof decodeFrame>)[] = [];
  /** What it does when it is asked for ranges of a file of its engine. */
  onUpload: (command: UploadCommand) => void = () => undefined;

  private constructor(id: string, client: MqttClient, root: ReturnType<typeof openRoot>) {
    this.id = id;
    this.#client = client;
    this.#accepted = { root, revision: 0, desired: undefined, trustedMs: 0 };
    client.on("message", (topic, payload) => this.#take(topic, payload));
  }

  /** Joins the hub under this name, connects and says what its hardware is. */
  static async join(hub: HubMachine, folder: string, id: string, hardware: Hardware): Promise<HandDevice> {
    const machine = new AgentMachine(folder, id);
    await machine.join(hub, "site=lyon");
    const identity = join(machine.dataDir, "identity");
    const { ca, certificate, mqttUrl } = JSON.parse(await readFile(join(identity, "identity.json"), "utf8")) as Record<
      "ca" | "certificate" | "mqttUrl",
      string
    >;
    const key = await readFile(join(identity, "device.key.pem"));
    const root = openRoot(JSON.parse(await readFile(join(hub.dataDir, "keys", "root.1.json"), "utf8")));
    const client = mqtt.connect(mqttUrl, { clientId: id, ca, cert: certificate, key, reconnectPeriod: 200 });
    const device = new HandDevice(id, client, root);
    client.on("connect", () => void device.#greet(hardware));
    return device;
  }

  /** What it has accepted of the hub last. */
  get desired(): Desired | undefined {
    return this.#accepted.desired;
  }

  get root() {
    return this.#accepted.root;
  }

  /** Reports the state of its models. */
  async report(...models: ReportedModel[]): Promise<void> {
    this.#seq += 1;
    const runner = { state: "serving", restarts: 0 };
    const spool = { windows: 0, events: 0, dropped: 0 };
    const { revision } = this.#accepted;
    await this.send("reported", encode({ seq: this.#seq, bootId: "boot", revision, models, runner, spool }), 1);
  }

  /** Answers a command with the bytes of a file. */
  upload({ transfer, request, ranges }: UploadCommand, bytes: Buffer): void {
    for (const [offset, length] of ranges) {
      const frame = { transfer, request, offset, bytes: bytes.subarray(offset, offset + length) };
      void this.send("upload", encodeFrame(frame), 0);
    }
  }

  /** A blob of at most one chunk as the hub sends it, or why it does not. */
  async fetch(blob: string, sizeBytes: number): Promise<Buffer | ChunkReply["error"]> {
    this.#transfer += 1;
    const transfer = this.#transfer;
    const request: ChunkRequest = { transfer, request: 1, blob, ranges: [[0, sizeBytes]] };
    await this.send("request", encode(request), 0);
    const answer = await eventually("an answer to a request", async () =>
      this.#answers.find((each) => each.transfer === transfer),
    );
    return "error" in answer ? answer.error : answer.bytes;
  }

  async send(kind: UpKind, payload: Buffer, qos: 0 | 1): Promise<void> {
    await this.#client.publishAsync(upTopic(this.id, kind), payload, { qos });
  }

  async close(): Promise<void> {
    await this.#client.endAsync(true);
  }

  async #greet(hardware: Hardware): Promise<void> {
    await this.#client.subscribeAsync(
      downKinds.map((kind) => downTopic(this.id, kind)),
      { qos: 1 },
    );
    const { revision, root } = this.#accepted;
    const said = { agentVersion: "by hand", bootId: "boot", revision, rootVersion: root.version };
    await this.send("hello", encode({ ...said, hardware, clockMs: Date.now() }), 1);
  }

  #take(topic: string, payload: Buffer): void {
    if (topic === downTopic(this.id, "desired")) {
      const message: unknown = JSON.parse(payload.toString("utf8"));
      this.#accepted = acceptDesired(message, this.#accepted, this.id, Date.now());
    } else if (topic === downTopic(this.id, "chunk")) {
      this.#answers.push(decodeFrame(payload));
    } else if (topic === downTopic(this.id, "reply")) {
      this.#answers.push(JSON.parse(payload.toString("utf8")) as ChunkReply);
    } else {
      const command = decode(Command, payload, "command");
      if (command.type === "upload") this.onUpload(command);
    }
  }
}
