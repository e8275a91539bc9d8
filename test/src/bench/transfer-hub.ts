// The process that gives the file away, in the ways that are compared; tells its processor time when asked.
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer as createHttps } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { join } from "node:path";
import { createServer as createTls } from "node:tls";
import { HubConfig } from "@muster/hub";
import {
  type DeviceLink,
  encodingsOf,
  type LinkListener,
  openAedesBroker,
  openAuthority,
  openDevices,
  openSqlite,
  Transfers,
} from "@muster/hub/testing";
import { ChunkRequest, decode, type Manifest, sha256 } from "@muster/shared";
import { FolderBlobs, systemClock } from "@muster/shared/node";
import { mosquittoLink } from "./mosquitto-link.js";
import { nothing, quiet } from "./quiet.js";

const [kind = "", folder = "", brokerPort = ""] = process.argv.slice(2);
const authority = await openAuthority(join(folder, "identity"), { clock: Date, deviceMs: 86_400_000 });
const { certificate, privateKey } = await authority.issueServer(["127.0.0.1"]);
const port =
  kind === "mqtt" || kind === "mosquitto"
    ? await serveMqtt()
    : await listening(kind === "https" ? serveHttps() : serveTls());
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuUs: user + system, rssBytes: process.memoryUsage().rss });
});
process.send?.({ port });

async function serveMqtt(): Promise<number> {
  const manifest = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8")) as Manifest;
  const artifacts = await FolderBlobs.open(join(folder, "artifacts"));
  const db = await openSqlite(":memory:");
  const devices = await openDevices(db, systemClock);
  for (const device of ["bench", ...Array.from({ length: 50 }, (_, at) => `bench-${at}`)])
    await devices.add(device, {});
  const digest = sha256("bench");
  const row = { model: manifest.model, version: manifest.version, release: 1, manifest_digest: digest };
  await db
    .insertInto("versions")
    .values({
      ...row,
      manifest_bytes: 5,
      manifest: JSON.stringify(manifest),
      content_digest: "",
      size_bytes: 1,
      pushed_ms: 0,
    })
    .execute();
  const wanted = {
    ...{ model: manifest.model, version: manifest.version },
    manifest: { sha256: digest, sizeBytes: 5 },
  };
  const set = { desired_models: JSON.stringify([{ ...wanted, attempt: "b", probationMs: 0 }]), desired_revision: 1 };
  await db.updateTable("devices").set(set).execute();
  const listener: LinkListener = {
    onAlive: nothing,
    onGone: nothing,
    onMessage: (device, what, payload) => {
      if (what === "request") void transfers.answer(device, decode(ChunkRequest, payload, "request"));
    },
  };
  const link = kind === "mosquitto" ? await mosquittoLink(folder, brokerPort, listener) : await embedded(listener);
  const transfers = new Transfers({
    ...{ artifacts, devices, link, clock: systemClock, ...encodingsOf(db, systemClock, devices, artifacts) },
    settings: { log: quiet, deviceBytesPerSecond: 0, totalBytesPerSecond: 0 },
  });
  return Number(new URL(link.url).port);
}

function embedded(listener: LinkListener): Promise<DeviceLink> {
  return openAedesBroker({
    ...{ host: "127.0.0.1", port: 0, publicHost: "127.0.0.1", log: quiet, listener },
    tls: { certificate, privateKey, ca: authority.certificate },
    door: { refusal: () => undefined, entered: nothing },
    limits: {
      ...{ connectsPerSecondPerAddress: 0, connectionsPerAddress: 1000, maxConnections: 1000 },
      messagesPerSecondPerDevice: HubConfig.parse({}).messagesPerSecondPerDevice,
    },
  });
}

function serveHttps(): Server {
  return createHttps({ key: privateKey, cert: certificate }, (_request, response) => {
    createReadStream(join(folder, "file")).pipe(response);
  });
}

function serveTls(): Server {
  return createTls({ key: privateKey, cert: certificate }, (socket) => {
    createReadStream(join(folder, "file"), { highWaterMark: 1024 * 1024 }).pipe(socket);
  });
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}
