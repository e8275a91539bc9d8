import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type {
  AuditList,
  AuditVerdict,
  CreatedToken,
  DeviceList,
  EventList,
  HubStatus,
  Invite,
  RolloutList,
} from "@muster/shared";
import { Operator } from "../fleet/cli.js";
import { AgentMachine, eventually, type HubMachine } from "../fleet/fleet.js";
import { ended, push, rollOut } from "./line.js";
import { startHub } from "./place.js";

/** The command line with a token of its own. */
async function as(hub: HubMachine, user: string, ...options: string[]): Promise<Operator> {
  const { secret } = await hub.operator.json<CreatedToken>("token", "create", user, ...options);
  return new Operator(hub.apiUrl, secret);
}

async function refused(operator: Operator, says: RegExp, ...args: string[]): Promise<void> {
  const { code, stderr } = await operator.run(...args);
  assert.equal(code, 1, `muster ${args.join(" ")} was not refused`);
  assert.match(stderr, says);
}

test("each role and scope does its work, and nothing beyond it changes anything", async (t) => {
  const { hub, folder } = await startHub(t);
  const [lyon, nice] = [new AgentMachine(folder, "lyon-1"), new AgentMachine(folder, "nice-1")];
  await lyon.join(hub, "site=lyon");
  await nice.join(hub, "site=nice");
  await push(hub, folder, "1.0.0", "fp32");
  for (const [name, role, ...scope] of [
    ["vera", "viewer"],
    ["ines", "operator", "--scope", "site=lyon"],
    ["ci", "publisher"],
  ] as const) {
    assert.equal((await hub.operator.run("user", "add", name, "--role", role, ...scope)).code, 0);
  }
  const [viewer, operator, publisher] = [await as(hub, "vera"), await as(hub, "ines"), await as(hub, "ci")];

  await t.test("a viewer reads", async () => {
    assert.equal((await viewer.json<DeviceList>("device", "ls")).devices.length, 2);
    await refused(viewer, /vera is viewer; device\.write needs operator or admin/, "device", "invite");
    await refused(viewer, /device\.write/, "device", "rm", "lyon-1");
    await refused(viewer, /rollout\.write/, "rollout", "start", "label-orientation", "1.0.0");
    await refused(viewer, /trust\.write/, "key", "rotate", "director");
    await refused(viewer, /access\.write/, "user", "ls");
    await refused(viewer, /audit\.read/, "audit", "ls");
  });
  await t.test("a publisher publishes, and does not decide where that runs", async () => {
    await push({ ...hub, operator: publisher } as HubMachine, folder, "2.0.0", "int8-weights");
    await refused(
      publisher,
      /rollout\.write needs operator or admin/,
      "rollout",
      "start",
      "label-orientation",
      "2.0.0",
    );
    await refused(publisher, /device\.write/, "device", "label", "lyon-1", "a=b");
  });
  await t.test("an operator of Lyon has Lyon, and of the rest not even a glimpse", async () => {
    assert.deepEqual(
      (await operator.json<DeviceList>("device", "ls")).devices.map(({ id }) => id),
      ["lyon-1"],
    );
    await refused(operator, /only with devices of 'site=lyon'/, "device", "show", "nice-1");
    await refused(operator, /only with devices/, "device", "rm", "nice-1");
    await refused(operator, /only with devices/, "device", "revoke", "nice-1");
    await refused(operator, /only with devices/, "device", "label", "nice-1", "site=lyon");
    await refused(operator, /only with devices/, "device", "label", "lyon-1", "site=nice");
    await refused(operator, /only with devices/, "device", "invite", "--label", "site=nice");
    await refused(operator, /only with devices/, "device", "invite");
    await refused(operator, /may not do that/, "model", "push", join(folder, "bundles", "1.0.0"));
    await operator.json<Invite>("device", "invite", "--label", "site=lyon,line=2");
    assert.equal((await operator.run("device", "label", "lyon-1", "line=1")).code, 0);
    const { events } = await operator.json<EventList>("telemetry", "events");
    assert.ok(events.length > 0 && events.every(({ device }) => device === "lyon-1"), JSON.stringify(events));
  });
  await t.test("and its rollouts reach Lyon only, whatever they select", async () => {
    await lyon.start();
    t.after(() => lyon.program.stop());
    await nice.start();
    t.after(() => nice.program.stop());
    const all = await rollOut(hub, "1.0.0");
    assert.equal((await ended(hub, all.id)).state, "completed");
    await refused(operator, /reaches beyond 'site=lyon'/, "rollout", "show", all.id);
    const mine = await rollOut({ ...hub, operator } as HubMachine, "2.0.0", "--selector", "");
    const done = await ended(hub, mine.id);
    assert.equal(done.selector, "site=lyon");
    assert.deepEqual(
      done.waves.flatMap(({ devices }) => devices.map(({ device }) => device)),
      ["lyon-1"],
    );
    const { rollouts } = await operator.json<RolloutList>("rollout", "ls");
    assert.deepEqual(
      rollouts.map(({ id }) => id),
      [mine.id],
    );
    await refused(operator, /reaches beyond/, "rollout", "halt", all.id);
  });
  await t.test("every change and every refusal is in the audit log, with who and from where", async () => {
    const { entries } = await hub.operator.json<AuditList>("audit", "ls", "--limit", "1000");
    const found = (actor: string, action: string, outcome: string) =>
      entries.some((entry) => entry.actor === actor && entry.action === action && entry.outcome === outcome);
    for (const [actor, action, outcome] of [
      ["hub", "user.admit", "done"],
      ["admin", "user.add", "done"],
      ["admin", "token.create", "done"],
      ["device:lyon-1", "device.join", "done"],
      ["ci", "model.push", "done"],
      ["ines", "device.label", "done"],
      ["ines", "device.invite", "done"],
      ["ines", "rollout.start", "done"],
      ["vera", "device.write", "refused"],
      ["ines", "device.write", "refused"],
      ["ci", "rollout.write", "refused"],
    ] as const) {
      assert.ok(found(actor, action, outcome), `${actor} ${action} ${outcome}`);
    }
    assert.ok(entries.every(({ address, actor }) => actor === "hub" || address === "127.0.0.1"));
  });
});

test("tokens end when they should, guessing is slowed down, and nobody is locked out by it", async (t) => {
  const { hub } = await startHub(t);
  await hub.operator.run("user", "add", "ines", "--role", "viewer");
  const short = await as(hub, "ines", "--valid", "2s");
  const kept = await as(hub, "ines", "--label", "kept");
  assert.equal((await short.run("whoami")).code, 0);
  const ask = (token: string) => fetch(`${hub.apiUrl}/v1/status`, { headers: { authorization: `Bearer ${token}` } });

  await t.test("expired, revoked, of a disabled user", async () => {
    await new Promise((resolve) => setTimeout(resolve, 2100));
    await refused(short, /expired or revoked/, "status");
    assert.equal((await hub.operator.run("user", "set", "ines", "--disable")).code, 0);
    await refused(kept, /expired or revoked/, "status");
    assert.equal((await hub.operator.run("user", "set", "ines", "--enable")).code, 0);
    assert.equal((await kept.run("status")).code, 0);
    await refused(hub.operator, /no admin with a token would be left/, "user", "rm", "admin");
  });
  await t.test("guessing is answered more and more slowly, a good token at once", async () => {
    const codes: number[] = [];
    let last: Response | undefined;
    for (let guess = 0; guess < 14; guess += 1) {
      last = await ask(`muster_${guess}`);
      codes.push(last.status);
    }
    assert.ok(codes.includes(401) && codes.at(-1) === 429, codes.join(" "));
    assert.ok(Number(last?.headers.get("retry-after")) >= 1);
    assert.equal((await kept.run("status")).code, 0);
    const { counters } = await hub.operator.json<HubStatus>("status");
    assert.ok((counters["token-refused"] ?? 0) >= 10 && (counters["token-slowed"] ?? 0) >= 1, JSON.stringify(counters));
  });
  await t.test("answers carry security headers", async () => {
    const { headers } = await ask("none");
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("cache-control"), "no-store");
    assert.match(headers.get("content-security-policy") ?? "", /default-src 'none'/);
  });
  await t.test("no secret is in the log or the store", async () => {
    const secret = (await readFile(join(hub.dataDir, "admin.token"), "utf8")).trim();
    assert.ok(!JSON.stringify(hub.program.log).includes(secret));
    for (const file of ["hub.db", "hub.db-wal"]) {
      assert.ok(!(await readFile(join(hub.dataDir, file))).includes(secret), file);
    }
  });
  await t.test("a hub whose admin has no token any more gives a new one when its owner asks", async () => {
    await hub.program.stop();
    await hub.restart("--new-admin-token");
    const secret = (await readFile(join(hub.dataDir, "admin.token"), "utf8")).trim();
    const operator = new Operator(hub.apiUrl, secret);
    await eventually("it opens", async () => ((await operator.run("whoami")).code === 0 ? true : undefined));
    const { intact } = await operator.json<AuditVerdict>("audit", "verify");
    assert.equal(intact, true);
  });
});
