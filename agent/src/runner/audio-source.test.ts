import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { MusterError } from "@muster/shared";
import { systemClock } from "@muster/shared/node";
import { wavFile } from "@muster/shared/testing";
import { MemorySink } from "../testing/memory-feeds.js";
import { AudioSource, type Stream } from "./audio-source.js";
import { AudioSource as AudioSettings } from "./feed-settings.js";
import { Intake } from "./intake.js";
import type { Answerer, Answers } from "./source.js";
import { memoryLog, temporaryFolder, until } from "./testing.js";

const rate = 8000;
const hasFfmpeg = await promisify(execFile)("ffmpeg", ["-version"]).then(
  () => true,
  () => false,
);
const skip = hasFfmpeg ? false : "there is no ffmpeg here; apt-get install ffmpeg";

/** Keeps the samples that it is given, as a test lets it. */
class Listener implements Answerer, Stream {
  now: ReturnType<Answerer["state"]> = "open";
  rate = rate;
  takes = true;
  /** What came: samples, `skip N`, or `end`. */
  readonly heard: (Float32Array | string)[] = [];
  /** How often it was asked what it takes, once for each piece at least. */
  asked = 0;
  before: () => Promise<void> = async () => undefined;

  state(): ReturnType<Answerer["state"]> {
    return this.now;
  }

  form(): { rate: number } {
    this.asked += 1;
    if (!this.takes) throw new MusterError("input/invalid", "m 1.0.0 takes no stream");
    return { rate: this.rate };
  }

  skip(samples: number): void {
    this.heard.push(`skip ${samples}`);
  }

  async answer(_model: string, bytes: Uint8Array): Promise<Answers> {
    await this.before();
    this.heard.push(bytes.length === 0 ? "end" : new Float32Array(Uint8Array.from(bytes).buffer));
    return { version: "1.0.0", answers: [{ count: this.heard.length }] };
  }

  samples(): number {
    return this.heard.reduce((sum, one) => sum + (typeof one === "string" ? 0 : one.length), 0);
  }
}

async function listening(t: TestContext, changes: Record<string, unknown>, env: Record<string, string> = {}) {
  const [stream, sink, log] = [new Listener(), new MemorySink(), memoryLog()];
  const about = { type: "audio", target: "audio", model: "m" };
  const intake = new Intake({ about, answerer: stream, sinks: [sink], clock: systemClock, log });
  const settings = AudioSettings.parse({ type: "audio", model: "m", pieceMs: 250, ...changes });
  const source = new AudioSource({ settings, intake, stream, env, clock: systemClock });
  t.after(() => source.close());
  return { stream, sink, log, source };
}

/** A ramp of so many seconds, which tells one sample from the next. */
function ramp(seconds: number): Float32Array {
  return Float32Array.from({ length: seconds * rate }, (_, at) => (at % 16_384) / 16_384);
}

async function httpServer(t: TestContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as { port: number }).port}/hall.wav`;
}

test("every sample of a file is heard in order, piece by piece, and then it has ended", { skip }, async (t) => {
  const input = join(await temporaryFolder(), "hall.wav");
  await writeFile(input, wavFile([ramp(2.1)], { rate, bits: 16 }));
  const { stream, source, sink } = await listening(t, { input });
  await until("it has ended", () => source.status().reason === "the recording has ended");
  const pieces = stream.heard.filter((one) => typeof one !== "string");
  assert.deepEqual(
    pieces.map(({ length }) => length),
    [...new Array<number>(8).fill(2000), 800],
  );
  assert.equal(stream.heard.at(-1), "end");
  const all = pieces.flatMap((piece) => [...piece]);
  for (const [at, sample] of ramp(2.1).entries()) assert.ok(Math.abs((all[at] ?? 9) - sample) < 1e-4, `${at}`);
  assert.deepEqual([sink.records[0]?.input, sink.records[1]?.input], ["0.0 s", "0.3 s"]);
  assert.deepEqual([source.status().taken, source.status().dropped], [10, 0]);
});

test("a live recording goes on while the model is slow, and what is let go is counted and left out", {
  skip,
}, async (t) => {
  const url = await httpServer(t, (_request, response) => void response.end(wavFile([ramp(20)], { rate, bits: 16 })));
  const { stream, source } = await listening(t, { input: url });
  let letGo: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  stream.before = () => held;
  await until("pieces were dropped", () => source.status().dropped >= 40);
  letGo();
  await until("the recording is over", () => stream.heard.includes("end"));
  const skipped = stream.heard.flatMap((one) => (typeof one === "string" && one.startsWith("skip") ? [one] : []));
  const missing = skipped.reduce((sum, text) => sum + Number(text.split(" ")[1]), 0);
  const over = stream.heard.indexOf("end");
  const heard = stream.heard
    .slice(0, over)
    .reduce((sum: number, one) => sum + (typeof one === "string" ? 0 : one.length), 0);
  assert.equal(heard + missing, 20 * rate, `${skipped.join()}`);
  assert.ok(source.status().dropped * 2000 >= missing && missing > 0);
});

test("a recording that breaks off is taken up again, and its password is shown nowhere", { skip }, async (t) => {
  const login = `Basic ${Buffer.from("hall:hunter2").toString("base64")}`;
  let asked = 0;
  const url = await httpServer(t, (request, response) => {
    if (request.headers.authorization !== login || asked >= 2) {
      return void response.writeHead(401, { "www-authenticate": 'Basic realm="hall"' }).end();
    }
    asked += 1;
    response.end(wavFile([ramp(1)], { rate, bits: 16 }));
  });
  const auth = { user: "hall", password: { env: "PASSWORD" } };
  const { stream, source, log } = await listening(t, { input: url, auth }, { PASSWORD: "hunter2" });
  await until("it came back", () => stream.samples() === 2 * rate);
  await until("the refusal is told", () => /401/.test(source.status().lastError ?? ""));
  assert.doesNotMatch(JSON.stringify([source.status(), log.lines]), /hunter2/);
});

test("a recording that gives no sound any more is given up after a while", { skip }, async (t) => {
  const url = await httpServer(t, (_request, response) => void response.write("RIFF"));
  const { source } = await listening(t, { input: url, stallMs: 1000 });
  await until("it is told", () => /no sound came for 1000 ms/.test(source.status().lastError ?? ""));
});

test("a model that takes no stream, and a missing ffmpeg, are told", async (t) => {
  const { stream, source } = await listening(t, { input: "/sounds/hall.wav", ffmpeg: "/nowhere/ffmpeg" });
  await until("it is told", () => /no program \/nowhere\/ffmpeg/.test(source.status().lastError ?? ""));
  stream.takes = false;
  await until("the model is told", () => /takes no stream/.test(source.status().lastError ?? ""));
  assert.equal(source.status().state, "failed");
});

test("a version that wants another rate is listened for at that rate", { skip }, async (t) => {
  const input = join(await temporaryFolder(), "hall.wav");
  await writeFile(input, wavFile([ramp(3)], { rate, bits: 16 }));
  const { stream, source } = await listening(t, { input, repeat: true });
  await until("it is heard", () => stream.samples() > 0);
  stream.rate = 16_000;
  await until("it is told", () => /wants 16000 samples a second/.test(source.status().lastError ?? ""));
  stream.heard.length = 0;
  await until("it is heard again", () => stream.heard.some((one) => typeof one !== "string" && one.length === 4000));
});

test("what was recorded for a version at another rate is not heard by the next", { skip }, async (t) => {
  const url = await httpServer(t, (_request, response) => void response.end(wavFile([ramp(4)], { rate, bits: 16 })));
  const { stream, source } = await listening(t, { input: url });
  let letGo: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  let begun = 0;
  stream.before = () => {
    begun += 1;
    return held;
  };
  await until("a piece is in hand, and others wait", () => begun > 0 && stream.asked >= 8);
  stream.rate = 16_000;
  letGo();
  await until("it listens anew", () => stream.heard.some((one) => typeof one !== "string" && one.length === 4000));
  const old = stream.heard.filter((one) => typeof one !== "string" && one.length === 2000);
  assert.ok(old.length <= 1, `${old.length} pieces`);
  assert.ok(source.status().dropped > 0);
});
