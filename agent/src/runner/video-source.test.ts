import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { access, rename, writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { delimiter, join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { systemClock } from "@muster/shared/node";
import { MemoryAnswerer, MemorySink } from "../testing/memory-feeds.js";
import { type SourceUnderTest, sourceContract } from "../testing/source-contract.js";
import { VideoSource as VideoSettings } from "./feed-settings.js";
import { Intake } from "./intake.js";
import { makeManifest, memoryLog, picture, serve, slotOf, startRunner, temporaryFolder, until } from "./testing.js";
import { VideoSource } from "./video-source.js";

const run = promisify(execFile);
const clock = systemClock;

/** Makes a video of so many seconds at 10 frames per second; its suffix says the format. */
async function video(path: string, seconds: number): Promise<void> {
  const pattern = `testsrc=size=192x48:rate=10:duration=${seconds}`;
  await run("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", pattern, "-c:v", "mpeg4", "-y", path]);
}

async function watching(t: TestContext, changes: Record<string, unknown>, env: Record<string, string> = {}) {
  const [answerer, sink, log] = [new MemoryAnswerer(), new MemorySink(), memoryLog()];
  const about = { type: "video", target: "video", model: "m" };
  const intake = new Intake({ about, answerer, sinks: [sink], clock, log });
  const settings = VideoSettings.parse({ type: "video", model: "m", framesPerSecond: 10, ...changes });
  const source = new VideoSource({ settings, intake, env, clock });
  t.after(() => source.close());
  return { answerer, sink, log, source };
}

async function file(): Promise<SourceUnderTest> {
  const folder = await temporaryFolder();
  const input = join(folder, "video.mp4");
  return {
    start: (intake) => {
      const settings = { type: "video", input, model: "m", whenSlow: "wait", framesPerSecond: 10, repeat: true };
      return new VideoSource({ settings: VideoSettings.parse(settings), intake, env: {}, clock });
    },
    appear: async () => {
      await video(join(folder, "new.mp4"), 2);
      await rename(join(folder, "new.mp4"), input);
    },
  };
}

async function hasFfmpeg(): Promise<boolean> {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    if (
      await access(join(folder, "ffmpeg")).then(
        () => true,
        () => false,
      )
    )
      return true;
  }
  return false;
}

if (await hasFfmpeg()) withFfmpeg();
else test("sources of video", { skip: "there is no ffmpeg here; apt-get install ffmpeg" }, () => undefined);

test("a missing ffmpeg is told with what to do, and looked for again", async (t) => {
  const { source } = await watching(t, { input: "/dev/video99", ffmpeg: "/nowhere/ffmpeg" });
  await until("it is told", () => source.status().state === "failed");
  assert.match(source.status().lastError ?? "", /no program \/nowhere\/ffmpeg: install ffmpeg/);
});

function withFfmpeg(): void {
  sourceContract("video", file);

  test("every frame of a file is answered when the source waits for the model, and then it has ended", async (t) => {
    const input = join(await temporaryFolder(), "video.mp4");
    await video(input, 2);
    const { source, sink, answerer } = await watching(t, { input, whenSlow: "wait" });
    await until("the video has ended", () => source.status().reason === "the video has ended");
    assert.equal(sink.records.length, 20);
    assert.deepEqual([source.status().taken, source.status().dropped, answerer.types.length], [20, 0, 20]);
    assert.deepEqual([sink.records[0]?.input, sink.records[19]?.input], ["frame 1", "frame 20"]);
    const jpegs = sink.records.map(({ text }) => Buffer.from(String(text), "latin1"));
    assert.ok(jpegs.every((jpeg) => jpeg.readUInt16BE(0) === 0xffd8 && jpeg.readUInt16BE(jpeg.length - 2) === 0xffd9));
  });

  test("a slow model gets the newest frame, and those it never sees are counted", async (t) => {
    const input = join(await temporaryFolder(), "video.mp4");
    await video(input, 4);
    const { source, sink, answerer } = await watching(t, { input });
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    answerer.before = () => held;
    await until("frames were dropped", () => source.status().dropped >= 10);
    letGo();
    await until("the video has ended", () => source.status().reason === "the video has ended");
    const { taken, dropped } = source.status();
    assert.equal(taken + dropped, 40);
    const numbers = sink.records.map(({ input }) => Number(input.replace("frame ", "")));
    assert.equal(numbers[0], 1);
    // The one after the held one is the newest there was then, not the oldest that waited.
    assert.ok((numbers[1] ?? 0) > 10, numbers.join());
  });

  test("while nothing serves, frames are dropped and the source says that it waits, all the time", async (t) => {
    const input = join(await temporaryFolder(), "video.mp4");
    await video(input, 4);
    const { source, sink, answerer } = await watching(t, { input, repeat: true });
    await until("a frame is answered", () => sink.records.length > 0);
    answerer.now = "not-serving";
    await until("it waits", () => source.status().state === "waiting");
    const { dropped } = source.status();
    const states = new Set<string>();
    await until("frames are dropped", () => {
      states.add(source.status().state);
      return source.status().dropped >= dropped + 10;
    });
    assert.deepEqual([...states], ["waiting"]);
  });

  test("a stream that breaks off is taken up again, and its password is shown nowhere", async (t) => {
    const path = join(await temporaryFolder(), "video.ts");
    const pattern = "testsrc=size=192x48:rate=10:duration=2";
    await run("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", pattern, "-c:v", "mpeg2video", "-y", path]);
    const url = await streamServer(t, path);
    const auth = { user: "camera", password: { env: "PASSWORD" } };
    const { source, sink, log } = await watching(t, { input: url, auth, whenSlow: "wait" }, { PASSWORD: "hunter2" });
    await until("it broke off and came back", () => sink.records.length > 25);
    await until("the refusal is told", () => /401/.test(source.status().lastError ?? ""));
    assert.doesNotMatch(JSON.stringify([source.status(), log.lines]), /hunter2/);
  });

  test("a stream that gives no frames any more is given up after a while", async (t) => {
    const url = await httpServer(t, (_request, response) => void response.write(" "));
    const { source } = await watching(t, { input: url, stallMs: 1000 });
    await until("it is told", () => /no frame came for 1000 ms/.test(source.status().lastError ?? ""));
  });

  test("no ffmpeg outlives a runner that is killed, so that the camera is free for the next one", async (t) => {
    const input = join(await temporaryFolder(), "video.mp4");
    await video(input, 2);
    const source = { type: "video" as const, input, model: "label-orientation", repeat: true };
    const { host } = await startRunner(t, { sources: [source] });
    await serve(host, slotOf(await makeManifest([await picture()])));
    await until("frames are answered", async () => ((await host.status()).sources[0]?.taken ?? 0) > 0);
    const ffmpegs = async () => {
      const { stdout } = await run("ps", ["-ww", "-eo", "args="]);
      // Unpacked for tests it has a path before its name.
      return stdout.split("\n").filter((line) => /^(?:\S*\/)?ffmpeg /.test(line) && line.includes(input)).length;
    };
    assert.equal(await ffmpegs(), 1);
    process.kill(host.pid ?? 0, "SIGKILL");
    await until("ffmpeg is gone", async () => (await ffmpegs()) === 0);
  });

  test("what is no video is told in ffmpeg's words", async (t) => {
    const input = join(await temporaryFolder(), "video.mp4");
    await writeFile(input, "no video at all");
    const { source } = await watching(t, { input });
    await until("it is told", () => /ffmpeg ended with 1: .*Invalid data/.test(source.status().lastError ?? ""));
    assert.doesNotMatch(source.status().lastError ?? "", / @ 0x/);
  });
}

/** Streams the file to who logs in, at most twice; then it refuses. */
async function streamServer(t: TestContext, path: string): Promise<string> {
  let count = 0;
  const wanted = `Basic ${Buffer.from("camera:hunter2").toString("base64")}`;
  return httpServer(t, (request, response) => {
    if (request.headers.authorization !== wanted || count >= 2) {
      response.writeHead(401, { "www-authenticate": 'Basic realm="camera"' }).end();
      return;
    }
    count += 1;
    createReadStream(path).pipe(response.writeHead(200, { "content-type": "video/mp2t" }));
  });
}

async function httpServer(t: TestContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as { port: number }).port}/stream.ts`;
}
