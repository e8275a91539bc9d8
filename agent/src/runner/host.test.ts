import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import type { RunnerEnding } from "../ports.js";
import { RunnerHost } from "./host.js";
import {
  damagedModel,
  defaultSettings,
  infer,
  makeManifest,
  memoryLog,
  picture,
  serve,
  slotOf,
  startRunner,
  temporaryFolder,
  until,
} from "./testing.js";

test("a killed runner rejects what was asked of it, tells its listeners, and can be started again", async (t) => {
  const { host } = await startRunner(t);
  const exits: unknown[] = [];
  host.onExit((exit) => exits.push(exit));
  const slot = slotOf(await makeManifest([await picture()]));
  const loading = host.load(slot);
  process.kill(host.pid ?? 0, "SIGKILL");
  await assert.rejects(loading, { code: "runner/crashed" });
  await until("the exit is told", () => exits.length > 0);
  const [exit] = exits as RunnerEnding[];
  assert.deepEqual([exit?.fault, exit?.code, exit?.signal], ["crash", null, "SIGKILL"]);
  await assert.rejects(host.status(), { code: "runner/crashed" });
  await host.start();
  await serve(host, slot);
  const response = await infer((await host.status()).url ?? "", await picture());
  assert.equal(response.status, 200);
});

test("a runner that hangs is killed and the call is rejected", async (t) => {
  const script = join(await temporaryFolder(), "hangs.mjs");
  await writeFile(
    script,
    `process.send({ kind: "up" });
    process.on("message", ({ id, call }) => {
      if (call.do === "pulse") for (;;);
      process.send({ kind: "answer", id, value: {} });
    });`,
  );
  const settings = { ...defaultSettings, workers: 1, maxQueue: 1 };
  const host = new RunnerHost({
    ...{ settings, log: memoryLog(), script: pathToFileURL(script) },
    limitsMs: { pulse: 100 },
  });
  t.after(() => host.close());
  const exits: unknown[] = [];
  host.onExit((exit) => exits.push(exit));
  await host.start();
  await assert.rejects(host.pulse(), { code: "runner/crashed", message: /did not answer 'pulse' within 100 ms/ });
  await until("the exit is told", () => exits.length > 0);
  assert.equal((exits[0] as RunnerEnding).fault, "hang");
});

test("a runner that is just starting takes no calls yet, as one that is down", async (t) => {
  const { host } = await startRunner(t);
  await host.close();
  const starting = host.start();
  await assert.rejects(host.unload("a".repeat(64)), { code: "runner/crashed" });
  await starting;
  await host.unload("a".repeat(64));
});

test("a closed runner tells nobody of its end and leaves no process", async (t) => {
  const { host } = await startRunner(t);
  const { pid = 0 } = host;
  host.onExit(() => assert.fail("a wanted end was told as an exit"));
  await host.close();
  assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
});

test("a port that another program has is named", async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  t.after(() => other.close());
  const address = other.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await assert.rejects(startRunner(t, { serving: { port } }), {
    code: "port/in-use",
    message: new RegExp(`port ${port}\\b`),
  });
});

test("a model file with one flipped bit is refused, and what serves goes on", async (t) => {
  const { host, url } = await startRunner(t);
  const good = slotOf(await makeManifest([await picture()]));
  await serve(host, good);
  const bad = slotOf(
    await makeManifest([await picture()], { version: "1.0.1" }),
    await damagedModel(await temporaryFolder()),
  );
  await assert.rejects(host.load(bad), { code: "artifact/digest-mismatch" });
  await assert.rejects(host.activate(bad.manifestDigest), { code: "model/unknown" });
  assert.equal((await infer(url, await picture())).status, 200);
});

test("the runner ends by itself when its agent is killed", async (t) => {
  const folder = await temporaryFolder();
  const settings = { ...defaultSettings, workers: 1, maxQueue: 1, stateDir: folder };
  const agent = join(folder, "agent.mjs");
  await writeFile(
    agent,
    `import { RunnerHost } from ${JSON.stringify(new URL("./host.js", import.meta.url).href)};
    const host = new RunnerHost({ settings: ${JSON.stringify(settings)}, log: console });
    await host.start();
    process.send(host.pid);`,
  );
  const child = fork(agent, [], { stdio: ["ignore", "ignore", "ignore", "ipc"] });
  t.after(() => child.kill("SIGKILL"));
  const [pid] = (await once(child, "message")) as [number];
  child.kill("SIGKILL");
  await until("the runner is gone", () => !isAlive(pid));
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
