import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import type { Device, Rollout } from "@muster/shared";
import { wavFile } from "@muster/shared/testing";
import { makeVoiceBundle } from "../fixtures/task-bundles.js";
import { room } from "../fixtures/voice-model.js";
import { AgentMachine, eventually } from "../fleet/fleet.js";
import { toolPath } from "../fleet/tool.js";
import { ended } from "./line.js";
import { startHub } from "./place.js";

interface Heard {
  readonly source: string;
  readonly input: string;
  readonly active: readonly string[];
  readonly events: readonly { readonly label: string; readonly startMs: number; readonly endMs: number }[];
}

test("a device listens to sound as it comes, and hears in it what it hears in the recording as a whole", async (t) => {
  const { hub, folder } = await startHub(t);
  const wav = join(folder, "hall.wav");
  const talk = [
    { fromS: 1, toS: 2.5 },
    { fromS: 4, toS: 5.5 },
  ];
  await writeFile(wav, wavFile([room(7, 16_000, talk)], { rate: 16_000, bits: 16 }));
  // What a microphone of 44.1 kHz in stereo gives, compressed.
  const opus = join(folder, "hall.ogg");
  const ffmpeg = await toolPath("ffmpeg");
  await promisify(execFile)(ffmpeg, ["-v", "error", "-i", wav, "-ac", "2", "-ar", "48000", "-c:a", "libopus", opus]);
  const machine = new AgentMachine(folder, "d1");
  const source = (input: string) => ({ type: "audio", input, model: "voice", pieceMs: 400, ffmpeg });
  await machine.join(hub, "site=lyon", { windowMs: 500, sources: [source(wav), source(opus)] });
  await machine.start();
  t.after(() => machine.program.stop());

  const bundle = join(folder, "bundles", "voice");
  await makeVoiceBundle(bundle, "1.0.0");
  const { code, stderr } = await hub.operator.run("model", "push", bundle);
  assert.equal(code, 0, stderr);
  const { id } = await hub.operator.json<Rollout>(
    ...(["rollout", "start", "voice", "1.0.0", "--waves", "100%"] as const),
    ...(["--soak", "0s", "--probation", "300ms", "--retries", "0"] as const),
  );
  assert.equal((await ended(hub, id)).state, "completed");

  const device = await eventually("both recordings have ended", async () => {
    const shown = await hub.operator.json<Device>("device", "show", "d1");
    const sources = shown.reported?.sources ?? [];
    return sources.length === 2 && sources.every(({ reason }) => reason === "the recording has ended")
      ? shown
      : undefined;
  });
  for (const { type, taken, failed, dropped } of device.reported?.sources ?? []) {
    // Seven seconds in pieces of 0.4 s, and the end.
    assert.deepEqual([type, failed, dropped], ["audio", 0, 0]);
    assert.ok(taken >= 18 && taken <= 20, `${taken}`);
  }
  const lines = (await readFile(machine.answers, "utf8")).trim().split("\n");
  const heard = lines.map((line) => JSON.parse(line) as Heard);
  const eventsOf = (input: string) => heard.filter((one) => one.source === input).flatMap(({ events }) => events);
  const response = await fetch(`${machine.inferenceUrl}/v2/models/voice/infer`, {
    method: "POST",
    headers: { "content-type": "audio/wav" },
    body: await readFile(wav),
  });
  const whole = (await response.json()) as Heard;
  assert.equal(whole.events.length, 2);
  assert.deepEqual(eventsOf(wav), whole.events);
  assert.ok(heard.some(({ active, input }) => active.includes("speech") && input === "1.2 s"));
  const fromOpus = eventsOf(opus);
  assert.equal(fromOpus.length, 2, JSON.stringify(fromOpus));
  for (const [at, { startMs, endMs }] of fromOpus.entries()) {
    const { startMs: start = 0, endMs: end = 0 } = whole.events[at] ?? {};
    assert.ok(Math.abs(startMs - start) < 150 && Math.abs(endMs - end) < 150, JSON.stringify(fromOpus));
  }
});
