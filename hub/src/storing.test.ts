import assert from "node:assert/strict";
import { test } from "node:test";
import { Storing } from "./storing.js";

/** Work that ends when it is told to. */
function work<T>(result: T) {
  let end: () => void = () => undefined;
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { run: () => over.then(() => result), end: () => end() };
}

test("nothing is swept while something is stored, and nothing is stored while it is swept", async () => {
  const storing = new Storing();
  const [push, sweep] = [work("pushed"), work(undefined)];
  const pushing = storing.during(push.run);
  assert.equal(await storing.alone(async () => assert.fail("swept beside a push")), false);
  push.end();
  assert.equal(await pushing, "pushed");
  const sweeping = storing.alone(sweep.run);
  assert.equal(await storing.alone(async () => assert.fail("two sweeps at once")), false);
  let began = false;
  const next = storing.during(async () => {
    began = true;
  });
  await new Promise(setImmediate);
  assert.equal(began, false);
  sweep.end();
  assert.equal(await sweeping, true);
  await next;
  assert.equal(began, true);
});

test("what fails, a push or a sweep, holds up nothing behind it", async () => {
  const storing = new Storing();
  const fails = async () => {
    throw new Error("failed");
  };
  await assert.rejects(storing.during(fails), /failed/);
  await assert.rejects(storing.alone(fails), /failed/);
  assert.equal(await storing.during(async () => "pushed"), "pushed");
  assert.equal(await storing.alone(async () => undefined), true);
});
