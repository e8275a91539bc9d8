import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { systemClock } from "@muster/shared/node";
import { StandInServer } from "./adapters/stand-in-server.js";
import type { RunnerEnding } from "./ports.js";
import { RunnerHost } from "./runner/host.js";
import type { RunnerSettings } from "./runner/protocol.js";
import {
  defaultSettings,
  flatPicture,
  infer,
  makeManifest,
  memoryLog,
  picture,
  slotOf,
  temporaryFolder,
  until,
} from "./runner/testing.js";
import { RunnerSupervisor } from "./supervisor.js";
import { dangerousModel } from "./testing/index.js";

// The runners of these tests inherit it.
process.env.NODE_OPTIONS = `--import ${dangerousModel.href}`;

/** A supervised runner that serves, in a process of its own. */
async function supervised(t: TestContext, settings: Partial<RunnerSettings> = {}) {
  const slot = slotOf(await makeManifest([await picture()]));
  const endings: RunnerEnding[] = [];
  const log = memoryLog();
  const host = new RunnerHost({
    settings: { ...defaultSettings, workers: 1, ...settings, stateDir: await temporaryFolder() },
    log,
  });
  const supervisor = new RunnerSupervisor({
    ...{ process: host, standIn: new StandInServer(), clock: systemClock, log },
    restore: () => [[async () => slot]],
    on: {
      unusable: (error) => assert.fail(String(error)),
      ending: (ending) => endings.push(ending),
      restored: () => undefined,
    },
  });
  t.after(() => supervisor.close());
  await supervisor.start();
  const url = (await supervisor.status()).url ?? "";
  const serves = async () => {
    const response = await infer(url, await picture()).catch(() => undefined);
    return response?.status === 200;
  };
  return { supervisor, host, slot, endings, url, serves };
}

test("a runner killed by native code is refused for with a reason, and serves again at the same address", async (t) => {
  const { supervisor, slot, endings, url, serves } = await supervised(t);
  assert.ok(await serves());
  await assert.rejects(async () => infer(url, await flatPicture(255), "image/png"));
  let refusal: { code?: string; error?: string } = {};
  await until("a refusal", async () => {
    const response = await infer(url, await picture()).catch(() => undefined);
    if (response?.status !== 503 || !response.headers.has("retry-after")) return false;
    refusal = (await response.json()) as typeof refusal;
    return true;
  });
  const { code, error = "" } = refusal;
  assert.equal(code, "runner/not-serving");
  assert.match(error, /the runner crashed with SIGSEGV; it is being started again/);
  await until("it serves again", serves);
  assert.deepEqual(
    endings.map(({ fault, signal, suspects }) => ({ fault, signal, suspects })),
    [{ fault: "crash", signal: "SIGSEGV", suspects: [slot.manifestDigest] }],
  );
  assert.deepEqual(supervisor.endings, { crash: 1, hang: 0, memory: 0 });
});

test("an engine call that never returns gets an error, and its runner is killed and started again", async (t) => {
  const { endings, url, serves, slot } = await supervised(t, { runLimitMs: 300 });
  const response = await infer(url, await flatPicture(128), "image/png");
  assert.equal(response.status, 500);
  assert.match(((await response.json()) as { error: string }).error, /no answer within 0.3 s/);
  await until("the end is told", () => endings.length > 0);
  assert.equal(endings[0]?.fault, "hang");
  assert.match(endings[0]?.detail ?? "", /an engine call of label-orientation 1\.0\.0 did not return/);
  assert.deepEqual(endings[0]?.suspects, [slot.manifestDigest]);
  await until("it serves again", serves);
});

test("a runner that takes more than its limit is killed and started again", async (t) => {
  const { endings, url, serves } = await supervised(t, { memoryMb: 350 });
  assert.ok((await infer(url, await flatPicture(64), "image/png")).ok);
  await until("the end is told", () => endings.length > 0);
  assert.equal(endings[0]?.fault, "memory");
  assert.match(endings[0]?.detail ?? "", /took \d+ MB, its limit is 350 MB/);
  await until("it serves again", serves);
});
