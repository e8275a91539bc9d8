import assert from "node:assert/strict";
import { test } from "node:test";
import { MusterError } from "@muster/shared";
import { RollCall } from "./roll-call.js";
import { RecordedLink, rooms, silent } from "./testing/hub-rooms.js";

async function bench() {
  const { clock, devices } = await rooms();
  const link = new RecordedLink();
  const rollCall = new RollCall({ devices, link, clock, silentMs: 3000, log: silent });
  const asked = () =>
    link.sent.splice(0).map(({ device, kind, payload }) => [device, kind, JSON.parse(String(payload)).type]);
  return { clock, devices, link, rollCall, asked };
}

test("when the broker is back, every device of the fleet is to say hello", async () => {
  const { rollCall, asked } = await bench();
  await rollCall.all();
  assert.deepEqual(asked(), [
    ["a", "command", "hello"],
    ["b", "command", "hello"],
  ]);
});

test("who is online and has said nothing for a while is asked, who is offline or has spoken is not", async () => {
  const { clock, devices, rollCall, asked } = await bench();
  devices.alive("a");
  devices.alive("b");
  clock.advance(3000);
  await rollCall.tick();
  assert.deepEqual(asked(), []);
  clock.advance(1);
  devices.alive("b");
  await rollCall.tick();
  assert.deepEqual(asked(), [["a", "command", "resync"]]);
  clock.advance(10_000);
  assert.equal(devices.online("a"), false);
  await rollCall.tick();
  assert.deepEqual(asked(), []);
});

test("a broker that is away keeps nobody from anything", async () => {
  const { clock, devices } = await rooms();
  const failures: string[] = [];
  const log = { ...silent, error: (event: string) => failures.push(event) };
  const link = { send: () => Promise.reject(new MusterError("link/closed", "away")) };
  const rollCall = new RollCall({ devices, link, clock, silentMs: 3000, log });
  await rollCall.all();
  await rollCall.doubt("a");
  assert.deepEqual(failures, []);
});
