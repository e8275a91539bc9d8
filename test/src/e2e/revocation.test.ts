import assert from "node:assert/strict";
import { test } from "node:test";
import type { Device, HubStatus } from "@muster/shared";
import { programs, runCommand } from "../fleet/cli.js";
import { AgentMachine, eventually } from "../fleet/fleet.js";
import { startHub } from "./place.js";

const times = (agent: AgentMachine, event: string) => agent.program.log.filter((line) => line.event === event).length;

test("a revoked device is cut off at once, stays in the fleet, and joins again under its name", async (t) => {
  const { hub, folder } = await startHub(t);
  const agent = new AgentMachine(folder, "a");
  const other = new AgentMachine(folder, "b");
  await agent.join(hub, "site=lyon");
  await other.join(hub, "site=nice");
  await agent.start();
  t.after(() => agent.program.stop());
  await other.start();
  t.after(() => other.program.stop());
  const state = async () => hub.operator.json<Device>("device", "show", "a");
  const settled = () =>
    eventually("the device has its document", async () => {
      const device = await state();
      return device.online && device.reported?.revision === device.desired.revision && device.desired.revision > 0
        ? device
        : undefined;
    });
  const before = await settled();
  const again = (...flags: string[]) =>
    hub.operator.json<{ url: string; token: string }>("device", "invite", "--device", "a", ...flags);
  const join = ({ url, token }: { url: string; token: string }, ...flags: string[]) =>
    runCommand(programs.agent, ["--data-dir", agent.dataDir, "join", url, token, "--device", "a", ...flags]);

  await t.test("revoked: kicked and refused, with reasons on both sides", async () => {
    await hub.operator.json("device", "revoke", "a", "--reason", "stolen from the line");
    const ended = await hub.program.waitFor("broker.client.ended", 3000);
    assert.match(String(ended.reason), /of a was revoked: stolen from the line/);
    const lost = await agent.program.waitFor("link.lost", 15_000, ({ reason }) => /refuses/.test(String(reason)));
    assert.match(String(lost.reason), /refuses this device's certificate: it was revoked/);
    await hub.program.waitFor("broker.login.refused", 3000, ({ reason }) => /stolen/.test(String(reason)));
    const { counters } = await hub.operator.json<HubStatus>("status");
    assert.ok((counters["certificate-revoked"] ?? 0) >= 2);
    const after = await eventually("the device is offline", async () => {
      const seen = await state();
      return seen.online ? undefined : seen;
    });
    assert.deepEqual([after.labels, after.desired], [{ site: "lyon" }, before.desired]);
    assert.match(JSON.stringify(after.certificates), /stolen from the line/);
    assert.equal(times(other, "link.lost"), 0);
  });

  await t.test("a serial number that is not the device's is an error", async () => {
    const { code, stderr } = await hub.operator.run("device", "revoke", "a", "--serial", "abcd");
    assert.equal(code, 1);
    assert.match(stderr, /no certificate abcd; see: muster device show a/);
  });

  await t.test("joined again: not beside a running agent, and only when invited for it", async () => {
    const invite = await again("--again");
    const running = await join(invite, "--again");
    assert.match(running.stderr, /works in .* already/);
    await agent.program.stop();
    const plain = await join(await again(), "--again");
    assert.match(plain.stderr, /has joined already/);
    assert.match((await join(invite)).stderr, /give --again/);
    const { code, stderr } = await join(invite, "--again");
    assert.equal(code, 0, stderr);
    await agent.start();
    const back = await settled();
    assert.deepEqual(back.labels, { site: "lyon" });
    assert.ok(back.desired.revision >= before.desired.revision);
  });

  await t.test("removed and joined anew with its old state, it still takes what the hub wants", async () => {
    const { desired } = await state();
    await hub.operator.json("device", "rm", "a");
    await agent.program.stop();
    const { code, stderr } = await join(await again(), "--again");
    assert.equal(code, 0, stderr);
    await agent.start();
    const back = await settled();
    assert.ok(back.desired.revision > desired.revision, `${back.desired.revision} > ${desired.revision}`);
    assert.equal(back.reported?.refusal, undefined);
  });
});
