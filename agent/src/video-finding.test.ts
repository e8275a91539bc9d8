import assert from "node:assert/strict";
import { test } from "node:test";
import { sourceList } from "./runner/feed-settings.js";
import { videoFindings } from "./video-finding.js";

test("without a source of video nobody asks for ffmpeg; with one, a program that is missing is found", async () => {
  assert.deepEqual(await videoFindings(sourceList.parse([{ type: "folder", path: "in", model: "m" }])), []);
  const video = { type: "video", input: "/dev/video0", model: "m" };
  const sources = sourceList.parse([
    { ...video, ffmpeg: "/nowhere/ffmpeg" },
    { ...video, ffmpeg: "/nowhere/ffmpeg" },
    { ...video, ffmpeg: "/bin/echo" },
  ]);
  const [missing, there, ...more] = await videoFindings(sources);
  assert.deepEqual([missing?.ok, there?.ok, more], [false, true, []]);
  assert.match(`${missing?.detail} ${missing?.cure}`, /\/nowhere\/ffmpeg.*apt-get install ffmpeg/);
});
