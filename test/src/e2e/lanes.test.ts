import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { HubStatus } from "@muster/shared";
import { type AgentMachine, eventually } from "../fleet/fleet.js";
import { damagedBlobs } from "../fleet/shelf-files.js";
import { WeakLink } from "../fleet/weak-link.js";
import { committed, devices, ended, pushLarge, rollOut, windowBytes } from "./line.js";
import { startHub } from "./place.js";

/** Each connection carries so much, however much the link could, and a transfer would take the longer of these. */
const bytesPerSecondEach = 250_000;
const ballastBytes = 20_000_000;
const aloneMs = (1000 * ballastBytes) / bytesPerSecondEach;

/** A device in the middle of a transfer over a link that loses packets, with all its lanes. */
async function withLanes(t: TestContext) {
  const { hub, folder } = await startHub(t);
  const link = await WeakLink.open(hub.mqttPort);
  t.after(() => link.close());
  const [agent] = await devices(t, hub, folder, 1, link);
  assert.ok(agent !== undefined);
  link.delayMs = 20;
  link.bytesPerSecondEach = bytesPerSecondEach;
  // Encrypted, so that it does not shrink on the way.
  await pushLarge(hub, folder, "1.0.0", "fp32", ballastBytes, "--encrypt");
  const { id } = await rollOut(hub, "1.0.0");
  await opened(agent, 10);
  return { hub, link, agent, id };
}

/** The agent decides on so many lanes. */
async function opened(agent: AgentMachine, count: number): Promise<void> {
  await agent.program.waitFor("transfer.lanes", 60_000, ({ lanes }) => lanes === count);
}

test("a link that loses packets is used by lanes, and a transfer goes on when the agent is killed and when one is cut", async (t) => {
  const { hub, link, agent, id } = await withLanes(t);
  const more = async (what: string) => {
    const before = link.downBytes;
    await eventually(what, async () => (link.downBytes - before > 500_000 ? true : undefined), 60_000, 20);
  };
  await t.test("the agent is killed", async () => {
    await agent.program.kill();
    await eventually("its lanes are gone", async () => (link.connections === 0 ? true : undefined));
    const { counters } = await hub.operator.json<HubStatus>("status");
    const sentBytes = counters["artifact-bytes-sent"] ?? 0;
    assert.deepEqual(await damagedBlobs(agent), []);
    await agent.start();
    const { presentBytes } = await agent.program.waitFor("transfer.resumed", 30_000);
    assert.ok(sentBytes - Number(presentBytes) <= windowBytes, `${sentBytes} bytes sent, ${presentBytes} there`);
    await opened(agent, 4);
  });
  await t.test("one lane is cut", async () => {
    await eventually("lanes are there", async () => (link.connections > 2 ? true : undefined));
    link.resetLatest();
    await agent.program.waitFor("transfer.lane.lost", 20_000);
    await more("bytes flow on the others");
    assert.equal(agent.program.log.filter(({ event }) => event === "link.lost").length, 0);
  });
  const rollout = await ended(hub, id, aloneMs);
  assert.equal(rollout.state, "completed", rollout.reason);
  assert.deepEqual(await committed(hub), { d1: "1.0.0" });
  assert.deepEqual(await damagedBlobs(agent), []);
  await eventually("the device's own connection is left", async () => (link.connections === 1 ? true : undefined));
});

test("the lanes of a device that is revoked end with its connection, and it opens none any more", async (t) => {
  const { hub, agent, link } = await withLanes(t);
  await eventually("the lanes are there", async () => (link.connections === 11 ? true : undefined));
  await hub.operator.json("device", "revoke", "d1", "--reason", "stolen");
  const endings = () => hub.program.log.filter(({ event }) => event === "broker.client.ended").length;
  await eventually("all its connections end", async () => (link.connections === 0 ? true : undefined));
  assert.ok(endings() > 1, "the hub ended lanes as well");
  await hub.program.waitFor("broker.login.refused", 15_000, ({ reason }) => /stolen/.test(String(reason)));
  const refusals = () => hub.program.log.filter(({ event }) => event === "broker.login.refused").length;
  const lost = () => agent.program.log.filter(({ event }) => event === "link.lost").length;
  const [refused, losses] = [refusals(), lost()];
  await eventually("it tries twice more", async () => (lost() >= losses + 2 ? true : undefined), 60_000);
  assert.ok(refusals() - refused <= lost() - losses + 1, "only its own connection is tried again");
});
