import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "@muster/shared";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import type { CertificateAuthority, DeviceLink, Door } from "../../ports.js";
import { openAedesBroker } from "../aedes-broker.js";
import { openAuthority } from "../x509-ca.js";
import { newRequest } from "./csr.js";

/** A log that says nothing. */
export const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** A broker with a CA of its own. */
export interface Bench {
  readonly link: DeviceLink;
  readonly authority: CertificateAuthority;
  readonly heard: { device: string; kind: string; payload: Buffer }[];
  /** Whose connection ended, in order. */
  readonly gone: string[];
  readonly revoked: Set<string>;
}

/** No caps to speak of. */
export const limits = {
  ...{ connectsPerSecondPerAddress: 0, connectionsPerAddress: 1000, maxConnections: 1000 },
  messagesPerSecondPerDevice: 0,
};

/** A broker on a free port, closed with the test. */
export async function bench(t: TestContext, overrides: Partial<typeof limits> = {}): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), "muster-broker-"));
  const authority = await openAuthority(folder, { clock: { now: () => Date.now() }, deviceMs: 86_400_000 });
  const tls = { ...(await authority.issueServer(["127.0.0.1"])), ca: authority.certificate };
  const heard: Bench["heard"] = [];
  const gone: string[] = [];
  const revoked = new Set<string>();
  const listener = {
    onMessage: (device: string, kind: string, payload: Buffer) => heard.push({ device, kind, payload }),
    onAlive: () => undefined,
    onGone: (device: string) => gone.push(device),
  };
  const door: Door = {
    refusal: (device) => (revoked.has(device) ? { count: "certificate-revoked", reason: "test" } : undefined),
    entered: () => undefined,
  };
  const link = await openAedesBroker({
    host: "127.0.0.1",
    port: 0,
    publicHost: "127.0.0.1",
    tls,
    door,
    limits: { ...limits, ...overrides },
    listener,
    log: silent,
  });
  t.after(async () => {
    await link.close();
    await rm(folder, { recursive: true });
  });
  return { link, authority, heard, gone, revoked };
}

/** A client with a certificate of the CA for `name`, connecting as `clientId`. */
export async function client(
  t: TestContext,
  { link, authority }: Bench,
  name: string,
  clientId = name,
  more: IClientOptions = {},
): Promise<MqttClient> {
  const { privateKey, csr } = await newRequest(name);
  const { certificate } = await authority.issueDevice(csr, name);
  const opened = mqtt.connect(link.url, {
    clientId,
    ca: authority.certificate,
    cert: certificate,
    key: privateKey,
    reconnectPeriod: 0,
    protocolVersion: 4,
    ...more,
  });
  t.after(() => opened.end(true));
  return opened;
}

/** How the attempt to connect ends. */
export async function connected(opened: MqttClient): Promise<"connected" | "refused"> {
  if (opened.connected) return "connected";
  return new Promise((resolve) => {
    opened.once("connect", () => resolve("connected"));
    opened.once("close", () => resolve("refused"));
    opened.on("error", () => undefined);
  });
}

/** Waits until the condition holds. */
export async function until(what: string, holds: () => boolean, ms = 5000): Promise<void> {
  const untilMs = Date.now() + ms;
  while (!holds()) {
    if (Date.now() > untilMs) assert.fail(`${what}: not within ${ms} ms`);
    await sleep(10);
  }
}
