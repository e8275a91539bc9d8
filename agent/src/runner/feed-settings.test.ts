import assert from "node:assert/strict";
import { test } from "node:test";
import { parseWith } from "@muster/shared";
import { AgentConfig } from "../config.js";
import { shownAddress } from "./feed-settings.js";

function problem(settings: Record<string, unknown>): string {
  try {
    parseWith(AgentConfig, settings, "config/invalid", "agent.yaml");
  } catch (error) {
    return (error as Error).message;
  }
  return "none";
}

test("every kind of source and sink needs no more than where it is", () => {
  const model = "m";
  const sources = [
    { type: "folder", path: "/in", model },
    { type: "http", url: "https://camera/snapshot.jpg", model },
    { type: "mqtt", url: "mqtt://broker", topic: "cameras/#", model },
    { type: "video", input: "rtsp://camera/stream", model },
    { type: "video", input: "/dev/video0", model, auth: { user: "u", password: { file: "/run/secret" } } },
  ];
  const sinks = [
    { type: "jsonl", path: "/out.jsonl" },
    { type: "webhook", url: "https://line/hook", signWith: { env: "HOOK_SECRET" } },
    { type: "mqtt", url: "mqtts://broker:8883", topic: "answers/{model}" },
  ];
  assert.equal(problem({ sources, sinks }), "none");
});

test("a problem is told by its field and with what to write, and a secret in the wrong place is not repeated", () => {
  const http = { type: "http", model: "m", url: "http://camera/" };
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ sources: [{ ...http, url: "http://admin:hunter2@camera/" }] }, /sources\[0\]\.url: .*belong in 'auth'/],
    [{ sources: [{ ...http, url: "ftp://camera/" }] }, /begins with http:\/\/ or https:\/\//],
    [{ sources: [{ ...http, auth: { user: "u", password: "hunter2" } }] }, /sources\[0\]\.auth: must be \{ user: NAME/],
    [{ sources: [{ ...http, every: 5 }] }, /sources\[0\]\.every: unknown key/],
    [{ sources: [{ type: "video", model: "m", input: "rtsp://a:hunter2@camera/" }] }, /input: must not hold user and/],
    [{ sources: [{ type: "ftp" }] }, /sources\[0\]\.type/],
    [{ sinks: [{ type: "webhook", url: "https://line/", signWith: "hunter2" }] }, /signWith: name the file or the var/],
    [{ sinks: [{ type: "mqtt", url: "mqtt://broker", topic: "answers/#" }] }, /without \+ and #/],
    [{ sinks: [{ type: "jsonl", path: "x", keep: 0 }] }, /sinks\[0\]\.keep/],
  ];
  for (const [settings, wanted] of cases) {
    assert.match(problem(settings), wanted);
    assert.doesNotMatch(problem(settings), /hunter2/);
  }
});

test("an address is shown without what may be secret in it", () => {
  assert.equal(shownAddress("https://u:p@camera:8443/a.jpg?token=1#x"), "https://camera:8443/a.jpg");
  assert.equal(shownAddress("rtsp://u:p@camera/stream"), "rtsp://camera/stream");
  assert.equal(shownAddress("/dev/video0"), "/dev/video0");
  assert.equal(shownAddress("a".repeat(400)).length, 300);
});
