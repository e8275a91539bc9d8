import { join } from "node:path";
import {
  blobBytes,
  chunkUp,
  encodingsOf,
  manifestOf,
  openAedesBroker,
  openAuthority,
  openDevices,
  openSqlite,
  storeBytes,
  Transfers,
} from "@muster/hub/testing";
import { type Artifact, ChunkRequest, decode, encodeChunkIndex, sha256, type TransferHint } from "@muster/shared";
import { FolderBlobs, systemClock } from "@muster/shared/node";
import { nothing, quiet } from "./quiet.js";

/**
 * The rooms of a hub through which an artifact goes from an upload to the link: store, chunks, index, shorter forms,
 * transfers. Any bytes are a model to it, because nothing opens them.
 */
export class PublishingHub {
  readonly port: number;
  readonly #rooms: Awaited<ReturnType<typeof openRooms>>;
  /** Manifests of all versions, which every device may fetch. */
  readonly #published: { model: string; version: string; manifest: { sha256: string; sizeBytes: number } }[] = [];

  private constructor(rooms: Awaited<ReturnType<typeof openRooms>>) {
    this.#rooms = rooms;
    this.port = Number(new URL(rooms.link.url).port);
  }

  /** Opens a hub in a folder for one device of that name. */
  static async open(folder: string, device: string): Promise<PublishingHub> {
    return new PublishingHub(await openRooms(folder, device));
  }

  /** Bytes of artifacts and indices sent since the start. */
  get sentBytes(): number {
    return this.#rooms.transfers.sentBytes;
  }

  /** Publishes bytes as the next version of a model; resolves when its shorter forms are made. */
  async publish(model: string, bytes: AsyncIterable<Uint8Array>): Promise<{ artifact: Artifact; hint?: TransferHint }> {
    const { artifacts, uploads, catalog, encodings, db } = this.#rooms;
    const uploaded = await uploads.add(bytes, 5e9);
    await artifacts.write(uploaded.sha256, blobBytes(uploads, uploaded.sha256), 5e9);
    await uploads.delete(uploaded.sha256);
    const chunks = await chunkUp(blobBytes(artifacts, uploaded.sha256));
    const artifact = { ...uploaded, index: await storeBytes(artifacts, encodeChunkIndex(chunks)) };
    const release = await catalog.nextRelease(model);
    const variants = [{ name: "fp32", precision: "fp32" as const, artifact }];
    const manifest = { ...manifestOf(release), model, variants };
    const envelope = { payloadType: "bench", payload: JSON.stringify(manifest), signatures: [] };
    const { manifestDigest } = await catalog.record(manifest, envelope, sha256(`${model} ${release}`));
    this.#published.push({
      ...{ model, version: manifest.version, manifest: { sha256: manifestDigest, sizeBytes: 1 } },
    });
    encodings.kick();
    while ((await encodings.prepared({ manifestDigest })) < 1) await systemClock.sleep(50);
    const wanted = this.#published.map((version) => ({ ...version, attempt: "b", probationMs: 0 }));
    const set = { desired_models: JSON.stringify(wanted), desired_revision: this.#published.length };
    await db.updateTable("devices").set(set).execute();
    const [hint] = await encodings.hints(manifest);
    return hint === undefined ? { artifact } : { artifact, hint };
  }

  async close(): Promise<void> {
    await this.#rooms.encodings.close();
    await this.#rooms.link.close();
  }
}

async function openRooms(folder: string, device: string) {
  const authority = await openAuthority(join(folder, "identity"), { clock: Date, deviceMs: 86_400_000 });
  const { certificate, privateKey } = await authority.issueServer(["127.0.0.1"]);
  const db = await openSqlite(":memory:");
  const devices = await openDevices(db, systemClock);
  await devices.add(device, {});
  const artifacts = await FolderBlobs.open(join(folder, "artifacts"));
  const uploads = await FolderBlobs.open(join(folder, "uploads"));
  const link = await openAedesBroker({
    ...{ host: "127.0.0.1", port: 0, publicHost: "127.0.0.1", log: quiet },
    tls: { certificate, privateKey, ca: authority.certificate },
    door: { refusal: () => undefined, entered: nothing },
    limits: {
      ...{ connectsPerSecondPerAddress: 0, connectionsPerAddress: 1000, maxConnections: 1000 },
      messagesPerSecondPerDevice: 1000,
    },
    listener: {
      onAlive: nothing,
      onGone: nothing,
      onMessage: (from, what, payload) => {
        if (what === "request") void transfers.answer(from, decode(ChunkRequest, payload, "request"));
      },
    },
  });
  const rooms = encodingsOf(db, systemClock, devices, artifacts);
  const transfers = new Transfers({
    ...{ artifacts, devices, link, clock: systemClock, ...rooms },
    settings: { log: quiet, deviceBytesPerSecond: 0, totalBytesPerSecond: 0 },
  });
  return { db, artifacts, uploads, link, transfers, ...rooms };
}
