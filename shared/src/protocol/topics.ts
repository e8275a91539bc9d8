import { DeviceId, sha256 } from "../ids.js";

/** What a device sends. */
export const upKinds = ["hello", "request", "reported", "event", "telemetry", "capture", "renew", "will"] as const;
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

/** Who sent what on a topic; undefined when it is not a topic a device may send on. */
export function parseUpTopic(topic: string): { device: string; kind: UpKind } | undefined {
  const parts = topic.split("/");
  const [a, b, way, partition, device, kind] = parts;
  if (parts.length !== 6 || `${a}/${b}` !== root || way !== "up" || device === undefined) return undefined;
  const known = upKinds.find((candidate) => candidate === kind);
  if (known === undefined || !DeviceId.safeParse(device).success || partition !== partitionOf(device)) return undefined;
  return { device, kind: known };
}

/** Whether a device may send on the topic: only on its own. */
export function mayPublish(device: string, topic: string): boolean {
  return upKinds.some((kind) => topic === upTopic(device, kind));
}

/** Whether a device may subscribe to the filter: only its own topics, without wildcards. */
export function maySubscribe(device: string, filter: string): boolean {
  return downKinds.some((kind) => filter === downTopic(device, kind));
}
