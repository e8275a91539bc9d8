import assert from "node:assert/strict";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { SnapshotServer, WebhookServer } from "@muster/agent/testing";
import type { SinkReport, SourceReport } from "@muster/shared";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { programs, runCommand } from "../fleet/cli.js";
import { AgentMachine, eventually, type HubMachine } from "../fleet/fleet.js";
import { LocalBroker } from "../fleet/local-broker.js";
import { runTool } from "../fleet/tool-run.js";
import { device, ended, model, push, rollOut } from "./line.js";
import { startHub } from "./place.js";
import { runnerOf } from "./runner-process.js";

interface Feeds {
  readonly sources: readonly SourceReport[];
  readonly sinks: readonly SinkReport[];
}

/** A device that serves the model, with these sources and sinks. */
async function line(t: TestContext, hub: HubMachine, folder: string, settings: Readonly<Record<string, unknown>>) {
  const machine = new AgentMachine(folder, "d1");
  await machine.join(hub, "site=lyon", { windowMs: 500, ...settings });
  await machine.start();
  t.after(() => machine.program.stop());
  await push(hub, folder, "1.0.0", "fp32");
  assert.equal((await ended(hub, (await rollOut(hub, "1.0.0")).id)).state, "completed");
  const config = join(folder, "d1", "agent.yaml");
  const status = async (): Promise<Feeds> => {
    const { stdout } = await runCommand(programs.agent, ["--config", config, "status", "--json"]);
    return (JSON.parse(stdout) as { runner: Feeds }).runner;
  };
  return { machine, config, status };
}

/** What the hub shows of a source or sink once it is in that state. */
function reported(hub: HubMachine, kind: "sources" | "sinks", type: string, state: string) {
  return eventually(`the hub shows ${type} as ${state}`, async () =>
    (await device(hub, "d1")).reported?.[kind]?.find((feed) => feed.type === type && feed.state === state),
  );
}

test("pictures of a broker and a camera reach a topic and a webhook, through kills of broker and device", async (t) => {
  const { hub, folder } = await startHub(t);
  const broker = await LocalBroker.start(folder);
  t.after(() => broker.end("SIGKILL"));
  const [camera, webhook] = [new SnapshotServer(t), new WebhookServer(t)];
  const [secretFile, pictureFile] = [join(folder, "secret"), join(folder, "picture.jpg")];
  await writeFile(secretFile, broker.password);
  const jpeg = await renderLabel({ text: labelText(1), rotated: true, seed: 1 });
  await writeFile(pictureFile, jpeg);
  camera.show(jpeg);
  const login = { url: broker.url, caFile: broker.caFile, auth: { user: broker.user, password: { file: secretFile } } };
  const snapshotUrl = await camera.reserve();
  const { machine, status } = await line(t, hub, folder, {
    sources: [
      { type: "mqtt", ...login, topic: "cameras/+", model },
      { type: "http", url: snapshotUrl, model, everyMs: 200 },
    ],
    sinks: [
      { type: "mqtt", ...login, topic: "answers/{model}" },
      { type: "webhook", url: await webhook.reserve(), signWith: { file: secretFile } },
    ],
  });
  await reported(hub, "sources", "mqtt", "running");
  await reported(hub, "sources", "http", "failed");

  const messages = broker.messages(`answers/${model}`, 1);
  // Again until the client of the other side has subscribed as well.
  const [answer] = await Promise.race([messages, publishing(broker, pictureFile, messages)]);
  assert.equal((JSON.parse(answer ?? "") as { label: string }).label, "rotated-180");

  await t.test("the webhook is away: its answers wait on the disk, through a kill of the runner", async () => {
    const shown = await reported(hub, "sinks", "webhook", "failed");
    assert.match(String(shown.lastError), /ECONNREFUSED/);
    await eventually("answers wait", async () => ((await status()).sinks[1]?.waiting ?? 0) > 0 || undefined);
    process.kill(await runnerOf(machine.program.pid), "SIGKILL");
    await webhook.listen();
    await eventually("they arrive", async () => webhook.taken.some(({ input }) => input === "cameras/1") || undefined);
    await reported(hub, "sinks", "webhook", "running");
  });

  await t.test("the camera comes, and is asked for what is new", async () => {
    await camera.listen();
    await reported(hub, "sources", "http", "running");
    await eventually(
      "its picture is answered",
      async () => webhook.taken.some(({ source }) => source.endsWith("/snapshot.jpg")) || undefined,
    );
    await eventually("nothing is new", async () => camera.unchanged > 2 || undefined);
  });

  await t.test("the broker is killed and comes back", async () => {
    await broker.end("SIGKILL");
    await reported(hub, "sources", "mqtt", "failed");
    await broker.restart();
    await reported(hub, "sources", "mqtt", "running");
    const before = webhook.taken.length;
    await broker.publishFile("cameras/2", pictureFile);
    await eventually(
      "it is answered",
      async () => webhook.taken.slice(before).some(({ input }) => input === "cameras/2") || undefined,
    );
  });

  await t.test("the device loses its power before a message is published", async () => {
    await machine.program.kill();
    await broker.publishFile("cameras/3", pictureFile);
    await machine.start();
    await eventually(
      "it is answered",
      async () => webhook.taken.some(({ input }) => input === "cameras/3") || undefined,
    );
    const text = JSON.stringify([await status(), (await device(hub, "d1")).reported, machine.program.log]);
    assert.doesNotMatch(text, /hunter2|key=secret/);
  });
});

async function publishing(broker: LocalBroker, file: string, until: Promise<string[]>): Promise<string[]> {
  let over = false;
  void until.finally(() => {
    over = true;
  });
  while (!over) await broker.publishFile("cameras/1", file);
  return until;
}

test("a video is looked at as far as the model can, and doctor says whether ffmpeg is there", async (t) => {
  const { hub, folder } = await startHub(t);
  const [input, made] = [join(folder, "video.mp4"), join(folder, "made.mp4")];
  const pattern = ["-f", "lavfi", "-i", "testsrc=size=640x160:rate=25:duration=2"];
  const { code, stderr } = await runTool("ffmpeg", ["-v", "error", ...pattern, "-c:v", "mpeg4", "-y", made], {
    timeoutMs: 60_000,
  });
  assert.equal(code, 0, stderr);
  const { config, status } = await line(t, hub, folder, {
    sources: [{ type: "video", input, model, framesPerSecond: 25, repeat: true }],
    sinks: [{ type: "jsonl", path: join(folder, "answers.jsonl") }],
  });
  // Only now, so that a machine with much to do does not take the version for a slow one.
  await rename(made, input);
  const feeds = await eventually(
    "frames are answered",
    async () => {
      const now = await status();
      return (now.sources[0]?.taken ?? 0) >= 50 ? now : undefined;
    },
    90_000,
  );
  assert.equal(feeds.sources[0]?.failed, 0);
  assert.ok((feeds.sinks[0]?.written ?? 0) > 0);
  assert.equal((await reported(hub, "sources", "video", "running")).target, input);
  const doctor = await runCommand(programs.agent, ["--config", config, "doctor"]);
  assert.match(doctor.stdout, /ok +ffmpeg +ffmpeg version/);
  const { stdout } = await runCommand(programs.agent, ["--config", config, "status"]);
  assert.match(stdout, /source +video .*video\.mp4 → label-orientation: running; \d+ taken, 0 failed, \d+ dropped/);
});
