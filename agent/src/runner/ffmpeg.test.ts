import assert from "node:assert/strict";
import { test } from "node:test";
import { AudioSource, VideoSource } from "./feed-settings.js";
import { audioArguments, videoArguments } from "./ffmpeg.js";

function argumentsFor(input: string, changes: Record<string, unknown> = {}): string {
  const settings = VideoSource.parse({ type: "video", model: "m", input, ...changes });
  return videoArguments(settings, input).join(" ");
}

test("each kind of input is opened as it needs, and nothing of it is taken for an option", () => {
  assert.match(argumentsFor("rtsp://camera/1"), /-rtsp_transport tcp -i rtsp:\/\/camera\/1 .*-vf fps=5 /);
  assert.match(argumentsFor("/dev/video0"), /-f v4l2 -i \/dev\/video0 /);
  assert.match(argumentsFor("/videos/line.mp4"), /error -re -i \/videos\/line\.mp4 /);
  assert.match(argumentsFor("/videos/line.mp4", { whenSlow: "wait", repeat: true }), /error -stream_loop -1 -i /);
  assert.match(argumentsFor("http://camera/mjpeg"), /error -i http:\/\/camera\/mjpeg /);
});

test("a microphone, an address or a file gives samples of one channel at the model's rate", () => {
  const audio = (input: string, changes: Record<string, unknown> = {}) =>
    audioArguments(AudioSource.parse({ type: "audio", model: "m", input, ...changes }), input, 16_000).join(" ");
  assert.match(audio("alsa:hw:1,0"), /error -f alsa -i hw:1,0 -vn -sn -ac 1 -ar 16000 -f f32le pipe:1$/);
  assert.match(audio("pulse:default"), / -f pulse -i default /);
  assert.match(audio("rtsp://camera/1"), /-rtsp_transport tcp -i rtsp:\/\/camera\/1 /);
  assert.match(audio("/sounds/hall.wav", { repeat: true }), /error -stream_loop -1 -i \/sounds\/hall\.wav /);
});
