import { DeviceId, sha256 } from "../ids.js";

/** What a device sends. */
export const upKinds = [
  "hello",
  "request",
  "reported",
  "event",
  "telemetry",
  "capture",
  "upload",
  "renew",
  "will",
] as const;
export type UpKind = (typeof upKinds)[number];

/** What a device receives. */
export const downKinds = ["desired", "command", "reply", "chunk"] as const;
export type DownKind = (typeof downKinds)[number];

const root = "muster/1";

/** The partition of a device, two hex digits: 256 fixed shares, so that hub workers can split the load on any broker. */
export function partitionOf(device: string): string {
  return sha256(device).slice(0, 2);
}

/** The topic on which a device sends. */
export function upTopic(device: string, kind: UpKind): string {
  return `${root}/up/${partitionOf(device)}/${device}/${kind}`;
}

/** What a hub subscribes to: everything that devices send. */
export const upFilter = `${root}/up/+/+/+`;

/** Everything that devices receive. */
export const downFilter = `${root}/down/+/+`;

/** The topic on which a device receives. */
export function downTopic(device: string, kind: DownKind): string {
  return `${root}/down/${device}/${kind}`;
}

/** A device may have so many lanes at the most: further connections that carry chunks to it and nothing else. */
export const maxLanes = 16;

/**
 * What a lane of a device calls itself, from 1 to {@link maxLanes}: no device's name has a dot. It has one topic of its own,
 * {@link downTopic} of this name and `chunk`.
 */
export function laneId(device: string, lane: number): string {
  return `${device}.${lane}`;
}

/** Whose connection a client id names: lane 0 is the device itself; undefined when it is neither a device nor a lane. */
export function parseClientId(id: string): { device: string; lane: number } | undefined {
  const [device = "", number, ...rest] = id.split(".");
  const lane = Number(number ?? 0);
  if (!DeviceId.safeParse(device).success || rest.length > 0) return undefined;
  if (number === undefined) return { device, lane };
  return lane >= 1 && lane <= maxLanes && id === laneId(device, lane) ? { device, lane } : undefined;
}

/** Who sent what on a topic; undefined when it is not a topic a device may send on. */
export function parseUpTopic(topic: string): { device: string; kind: UpKind } | undefined {
  const parts = topic.split("/");
  const [a, b, way, partition, device, kind] = parts;
  if (parts.length !== 6 || `${a}/${b}` !== root || way !== "up" || device === undefined) return undefined;
  const known = upKinds.find((candidate) => candidate === kind);
  if (known === undefined || !DeviceId.safeParse(device).success || partition !== partitionOf(device)) return undefined;
  return { device, kind: known };
}

/** Whether a client may send on the topic: a device only on its own, a lane on none. */
export function mayPublish(client: string, topic: string): boolean {
  return DeviceId.safeParse(client).success && upKinds.some((kind) => topic === upTopic(client, kind));
}

/** Whether a client may subscribe to the filter: a device to its own topics, without wildcards; a lane to its chunks. */
export function maySubscribe(client: string, filter: string): boolean {
  if (filter === downTopic(client, "chunk")) return true;
  return DeviceId.safeParse(client).success && downKinds.some((kind) => filter === downTopic(client, kind));
}
