import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type DeviceLink, openAedesBroker, openAuthority } from "@muster/hub/testing";
import {
  ChunkRequest,
  type Desired,
  type DesiredMessage,
  type DeviceEvent,
  decode,
  desiredType,
  type Envelope,
  EventBatch,
  encode,
  encodeFrame,
  type Log,
  type Manifest,
  manifestType,
  Reported,
  readSigningKey,
  type SigningKey,
  seal,
  sha256,
  type UpKind,
  type Wanted,
} from "@muster/shared";
import { FolderBlobs, readIfThere } from "@muster/shared/node";
import type { HubMachine } from "./fleet.js";

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const dayMs = 86_400_000;

/**
 * A hub in the hands of a thief: it has the data folder of a hub that was stopped, so its device CA, its director key and
 * every artifact, and speaks to its devices on its port. What it cannot have are keys that were never on the hub.
 */
export class StolenHub {
  readonly director: SigningKey;
  readonly roots: readonly Envelope[];
  /** Bytes it serves instead of those in the artifact store. */
  readonly blobs = new Map<string, Buffer>();
  readonly events: DeviceEvent[] = [];
  readonly reported = new Map<string, Reported>();
  /** Digests that were asked for. */
  readonly asked = new Set<string>();
  readonly #artifacts: FolderBlobs;
  #link: DeviceLink | undefined;

  private constructor(director: SigningKey, roots: Envelope[], artifacts: FolderBlobs) {
    this.director = director;
    this.roots = roots;
    this.#artifacts = artifacts;
  }

  /** Takes over from a hub that was stopped. */
  static async take({ dataDir }: HubMachine): Promise<StolenHub> {
    const keys = join(dataDir, "keys");
    const roots: Envelope[] = [];
    for (let text = await readIfThere(join(keys, "root.1.json")); text !== undefined; ) {
      roots.push(JSON.parse(text) as Envelope);
      text = await readIfThere(join(keys, `root.${roots.length + 1}.json`));
    }
    const director = readSigningKey(await readFile(join(keys, "director.key.pem"), "utf8"));
    const hub = new StolenHub(director, roots, await FolderBlobs.open(join(dataDir, "artifacts")));
    await hub.#open(dataDir);
    return hub;
  }

  async close(): Promise<void> {
    await this.#link?.close();
  }

  /** Sends the device a document; whatever is given wins over what an honest hub would write. */
  async order(
    device: string,
    over: Partial<Desired>,
    { key = this.director, roots = this.roots }: { key?: SigningKey; roots?: readonly unknown[] } = {},
  ): Promise<void> {
    const issuedMs = Date.now();
    const desired: Desired = { device, revision: 0, issuedMs, expiresMs: issuedMs + dayMs, models: [], ...over };
    const envelope = seal(desiredType, Buffer.from(JSON.stringify(desired)), [key]);
    const message = { roots, desired: envelope } as DesiredMessage;
    await this.#link?.retain(device, "desired", Buffer.from(JSON.stringify(message)));
  }

  /** Sends bytes as a desired document. */
  async orderBytes(device: string, bytes: Buffer): Promise<void> {
    await this.#link?.retain(device, "desired", bytes);
  }

  /** Offers a manifest, sealed with the keys, as what the device is to run. */
  offer(manifest: Manifest, keys: readonly SigningKey[], attempt: string): Wanted {
    return this.offerBytes(
      manifest,
      Buffer.from(JSON.stringify(seal(manifestType, Buffer.from(JSON.stringify(manifest)), keys))),
      attempt,
    );
  }

  /** Offers a version by the bytes of its manifest's envelope. */
  offerBytes({ model, version }: Pick<Manifest, "model" | "version">, bytes: Buffer, attempt: string): Wanted {
    const digest = sha256(bytes);
    this.blobs.set(digest, bytes);
    return { model, version, manifest: { sha256: digest, sizeBytes: bytes.length }, attempt, probationMs: 0 };
  }

  /** The bytes of an artifact of the honest hub. */
  async artifact(digest: string): Promise<Buffer> {
    return this.#artifacts.read(digest, 0, (await this.#artifacts.size(digest)) ?? 0);
  }

  async #open(dataDir: string): Promise<void> {
    const { mqttPort } = JSON.parse(await readFile(join(dataDir, "..", "hub.yaml"), "utf8")) as { mqttPort: number };
    const authority = await openAuthority(join(dataDir, "identity"), { clock: Date, deviceMs: dayMs });
    const tls = await authority.issueServer(["127.0.0.1", "localhost"]);
    this.#link = await openAedesBroker({
      ...{ host: "127.0.0.1", port: mqttPort, publicHost: "127.0.0.1", log: silent },
      tls: { ...tls, ca: authority.certificate },
      door: { refusal: () => undefined, entered: () => undefined },
      limits: {
        ...{ connectsPerSecondPerAddress: 0, connectionsPerAddress: 1000, maxConnections: 1000 },
        messagesPerSecondPerDevice: 0,
      },
      listener: {
        onAlive: () => undefined,
        onGone: () => undefined,
        onMessage: (device, kind, payload) => void this.#take(device, kind, payload).catch(() => undefined),
      },
    });
  }

  async #take(device: string, kind: UpKind, payload: Buffer): Promise<void> {
    if (kind === "reported") this.reported.set(device, decode(Reported, payload, "reported"));
    if (kind === "request") await this.#serve(device, decode(ChunkRequest, payload, "request"));
    if (kind !== "event") return;
    const { stream, events } = decode(EventBatch, payload, "events");
    this.events.push(...events);
    await this.#link?.send(
      device,
      "command",
      encode({ type: "ack", stream, of: "events", seq: events.at(-1)?.seq ?? 0 }),
    );
  }

  async #serve(device: string, { transfer, request, blob, ranges }: ChunkRequest): Promise<void> {
    this.asked.add(blob);
    for (const [offset, length] of ranges) {
      const own = this.blobs.get(blob)?.subarray(offset, offset + length);
      const bytes = own ?? (await this.#artifacts.read(blob, offset, length));
      await this.#link?.send(device, "chunk", encodeFrame({ transfer, request, offset, bytes }));
    }
  }
}
