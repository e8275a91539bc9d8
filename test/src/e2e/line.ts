import assert from "node:assert/strict";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Device, DeviceList, Rollout } from "@muster/shared";
import { type BundleKind, makeBundle } from "../fixtures/bundles.js";
import { AgentMachine, eventually, type HubMachine } from "../fleet/fleet.js";
import type { WeakLink } from "../fleet/weak-link.js";

/** The model of every journey. */
export const model = "label-orientation";
/** The most that a device keeps in flight, and that a fault may cost. */
export const windowBytes = 4 * 1024 * 1024;

/** Joins and starts devices `d1`, `d2` … with the label `site=lyon`, over a link if there is one. */
export async function devices(
  t: TestContext,
  hub: HubMachine,
  folder: string,
  count: number,
  link?: WeakLink,
): Promise<AgentMachine[]> {
  const machines = Array.from({ length: count }, (_, at) => new AgentMachine(folder, `d${at + 1}`));
  for (const machine of machines) {
    await machine.join(hub, "site=lyon", { windowMs: 500 });
    if (link !== undefined) await machine.useLink(link);
    await machine.start();
    t.after(() => machine.program.stop());
  }
  return machines;
}

/** Makes and pushes a bundle with a small baseline. */
export function push(
  hub: HubMachine,
  folder: string,
  version: string,
  kind: BundleKind,
  ...flags: string[]
): Promise<void> {
  return pushLarge(hub, folder, version, kind, 0, ...flags);
}

/** The same with a model file made larger by so many bytes. */
export async function pushLarge(
  hub: HubMachine,
  folder: string,
  version: string,
  kind: BundleKind,
  ballastBytes: number,
  ...flags: string[]
): Promise<void> {
  const bundle = join(folder, "bundles", version);
  await makeBundle(bundle, { version, kind, referenceImages: 40, samples: 2, ballastBytes });
  const { code, stderr } = await hub.operator.run("model", "push", bundle, ...flags);
  assert.equal(code, 0, stderr);
}

/** Starts a rollout of {@link model} with short times; more options win. */
export function rollOut(hub: HubMachine, version: string, ...options: string[]): Promise<Rollout> {
  const short = ["--waves", "100%", "--soak", "0s", "--probation", "300ms", "--retries", "0"];
  return hub.operator.json<Rollout>("rollout", "start", model, version, ...short, ...options);
}

/** The rollout once it has ended. */
export function ended(hub: HubMachine, id: string, timeoutMs = 60_000): Promise<Rollout> {
  return eventually(
    `rollout ${id} ends`,
    async () => {
      const rollout = await hub.operator.json<Rollout>("rollout", "show", id);
      return ["running", "paused", "halted", "rolling-back"].includes(rollout.state) ? undefined : rollout;
    },
    timeoutMs,
  );
}

/** What the hub knows of a device. */
export function device(hub: HubMachine, id: string): Promise<Device> {
  return hub.operator.json<Device>("device", "show", id);
}

/** The version each device has committed. */
export async function committed(hub: HubMachine): Promise<Record<string, string | undefined>> {
  const { devices: all } = await hub.operator.json<DeviceList>("device", "ls");
  return Object.fromEntries(all.map(({ id, reported }) => [id, reported?.models[0]?.committed?.version]));
}
