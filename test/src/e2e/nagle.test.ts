import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { startAgent } from "@muster/agent";
import { startHub } from "@muster/hub";
import type { Invite, Log } from "@muster/shared";
import { programs, runCommand } from "../fleet/cli.js";
import { eventually } from "../fleet/fleet.js";
import { temporaryFolder } from "./place.js";

const log: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

test("Nagle's algorithm is off on both ends of a device's connection", async (t) => {
  const folder = await temporaryFolder(t);
  const undelayed = new Set<string>();
  const original = Socket.prototype.setNoDelay;
  // Node has no way to ask a socket, so both ends are watched from within one process.
  Socket.prototype.setNoDelay = function (this: Socket, on?: boolean) {
    if (on !== false) undelayed.add(`${this.localPort}→${this.remotePort}`);
    return original.call(this, on);
  };
  t.after(() => {
    Socket.prototype.setNoDelay = original;
  });
  const hub = await startHub(
    {
      dataDir: join(folder, "hub"),
      httpPort: 0,
      mqttPort: 0,
      enrolmentPort: 0,
      mqttHost: "127.0.0.1",
      enrolmentHost: "127.0.0.1",
    },
    log,
  );
  t.after(() => hub.close());
  const secret = (await readFile(join(folder, "hub", "admin.token"), "utf8")).trim();
  const response = await fetch(`${hub.apiUrl}/v1/invites`, {
    method: "POST",
    headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
    body: "{}",
  });
  const { url, token } = (await response.json()) as Invite;
  const dataDir = join(folder, "agent");
  assert.equal(
    (await runCommand(programs.agent, ["--data-dir", dataDir, "join", url, token, "--device", "a"])).code,
    0,
  );
  const agent = await startAgent({ dataDir, inferencePort: 0 }, log);
  t.after(() => agent.close());
  const port = new URL(hub.mqttUrl).port;
  const ends = () => [...undelayed].filter((pair) => pair.split("→").includes(port));
  await eventually("both ends", async () => (ends().length >= 2 ? true : undefined));
  assert.ok(
    ends().some((pair) => pair.startsWith(`${port}→`)),
    "the hub's end",
  );
  assert.ok(
    ends().some((pair) => pair.endsWith(`→${port}`)),
    "the agent's end",
  );
});
