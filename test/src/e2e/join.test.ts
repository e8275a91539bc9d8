import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { DeviceList, EventList, Invite } from "@muster/shared";
import { programs, runCommand } from "../fleet/cli.js";
import { HubMachine } from "../fleet/fleet.js";
import { startHub, temporaryFolder } from "./place.js";

const joinAs = (dataDir: string, url: string, token: string, device: string) =>
  runCommand(programs.agent, ["--data-dir", dataDir, "join", url, token, "--device", device]);

test("only who holds a good invitation of this very hub gets in", async (t) => {
  const { hub, folder } = await startHub(t);
  const invite = (...options: string[]) => hub.operator.json<Invite>("device", "invite", ...options);
  const refused = async (device: string, url: string, token: string, says: RegExp) => {
    const { code, stderr } = await joinAs(join(folder, `${device}-data`), url, token, device);
    assert.equal(code, says.source.includes("paste") ? 2 : 1, stderr);
    assert.match(stderr, says);
  };

  const once = await invite("--label", "site=lyon");
  const [secret, pin] = once.token.split(".") as [string, string];
  assert.match(
    once.token,
    /^[0-9a-f]{48}\.[A-Za-z0-9_-]{43}$/,
    "a token that begins with a dash would be taken for an option",
  );
  await t.test("a guessed token", () =>
    refused("a", once.url, `${"x".repeat(32)}.${pin}`, /unknown, used up or expired/),
  );
  await t.test("a token cut short", () => refused("a", once.url, secret, /paste the whole line/));
  await t.test("another hub in the middle", async () => {
    const impostor = await HubMachine.start(await temporaryFolder(t));
    t.after(() => impostor.program.stop());
    await refused("a", impostor.enrolmentUrl, once.token, /not the hub this invitation is from/);
    assert.ok(!JSON.stringify(impostor.program.log).includes(secret), "the secret reached the impostor");
  });
  await t.test("an invitation for another device", async () => {
    const bound = await invite("--device", "only-me");
    await refused("a", bound.url, bound.token, /for device only-me/);
  });
  await t.test("an expired invitation", async () => {
    const short = await invite("--valid", "1s");
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await refused("a", short.url, short.token, /expired/);
  });

  await t.test("a good one, once", async () => {
    const { code, stderr } = await joinAs(join(folder, "a-data"), once.url, once.token, "a");
    assert.equal(code, 0, stderr);
    await refused("b", once.url, once.token, /used up/);
    const { devices } = await hub.operator.json<DeviceList>("device", "ls");
    assert.deepEqual(
      devices.map(({ id, labels }) => ({ id, labels })),
      [{ id: "a", labels: { site: "lyon" } }],
    );
  });
  await t.test("a name that is taken uses no invitation up", async () => {
    const twice = await invite();
    await refused("a", twice.url, twice.token, /./).catch(() => undefined);
    const { code, stderr } = await joinAs(join(folder, "again"), twice.url, twice.token, "a");
    assert.equal(code, 1);
    assert.match(stderr, /has joined already; remove it first/);
    assert.equal((await joinAs(join(folder, "c-data"), twice.url, twice.token, "c")).code, 0);
  });
  await t.test(
    "what was refused is in the event log, and no secret is in any log or file that others may read",
    async () => {
      const { events } = await hub.operator.json<EventList>("telemetry", "events", "--kind", "device.join-refused");
      assert.ok(events.length >= 4);
      assert.ok(!JSON.stringify(hub.program.log).includes(secret));
      for (const path of ["admin.token", "identity/ca.key.pem", "keys/release.key.pem", "keys/director.key.pem"]) {
        assert.equal((await stat(join(hub.dataDir, path))).mode & 0o777, 0o600, path);
      }
      assert.equal((await stat(join(folder, "a-data", "identity", "device.key.pem"))).mode & 0o777, 0o600);
      for (const file of ["hub.db", "hub.db-wal"]) {
        assert.ok(!(await readFile(join(hub.dataDir, file))).includes(secret), file);
      }
    },
  );
});
