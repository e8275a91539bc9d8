import assert from "node:assert/strict";
import { test } from "node:test";
import { VideoSource } from "./feed-settings.js";
import { ffmpegArguments } from "./ffmpeg.js";

function argumentsFor(input: string, changes: Record<string, unknown> = {}): string {
  const settings = VideoSource.parse({ type: "video", model: "m", input, ...changes });
  return ffmpegArguments({ settings, input }).join(" ");
}

test("each kind of input is opened as it needs, and nothing of it is taken for an option", () => {
  assert.match(argumentsFor("rtsp://camera/1"), /-rtsp_transport tcp -i rtsp:\/\/camera\/1 .*-vf fps=5 /);
  assert.match(argumentsFor("/dev/video0"), /-f v4l2 -i \/dev\/video0 /);
  assert.match(argumentsFor("/videos/line.mp4"), /error -re -i \/videos\/line\.mp4 /);
  assert.match(argumentsFor("/videos/line.mp4", { whenSlow: "wait", repeat: true }), /error -stream_loop -1 -i /);
  assert.match(argumentsFor("http://camera/mjpeg"), /error -i http:\/\/camera\/mjpeg /);
});
