import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "@muster/shared/testing";
import { until } from "./runner/testing.js";
import { bench } from "./testing/engine-offer.js";

type Bench = Awaited<ReturnType<typeof bench>>;

/** Takes what the hub offers while time runs; it stands still again after so many seconds, when `then` is called. */
async function taken({ take }: Bench, clock: FakeClock, seconds = Number.POSITIVE_INFINITY, then = () => {}) {
  let second = 0;
  let over = false;
  const taking = take().finally(() => {
    over = true;
  });
  await until("it is taken or given up", () => {
    second += 1;
    if (second < seconds) clock.advance(1000);
    if (second === seconds) then();
    return over;
  });
  await taking;
}

test("a link that is gone for a minute is not waited for, and one that comes back before is", async () => {
  const clock = new FakeClock();
  const cut = await bench({ clock });
  cut.line.cut();
  await taken(cut, clock);
  assert.match(String(cut.reasons()[0]?.[1]), /no connection for \d+ s/);
  const again = new FakeClock();
  const mended = await bench({ clock: again });
  mended.line.cut();
  await taken(mended, again, 50, () => mended.line.mend());
  assert.deepEqual([mended.reasons()[0]?.[0], (await mended.kept()).length], ["engine.taken", 2]);
});

test("a rate at which it does not come in time ends the wait before that, and nothing of it stays", async () => {
  const clock = new FakeClock();
  const slow = await bench({ clock });
  // The index and one chunk come, and no more.
  slow.line.mangle = (bytes, count) => (count > 2 ? [] : [bytes]);
  await taken(slow, clock);
  assert.match(String(slow.reasons()[0]?.[1]), /per second the .* that are left do not come within 10 min/);
  assert.deepEqual([await slow.kept(), await slow.shelved()], [[], 0]);
});

test("the engines of one offer have their time together, and after it none is begun", async () => {
  const clock = new FakeClock();
  const { take, line, transfer, reasons, envelope } = await bench({ clock });
  transfer.fetchArtifact = (_artifact, signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      clock.advance(10 * 60_000);
    });
  await take([envelope(), envelope(), envelope()]);
  const late = ["engine.refused", "it did not come within 10 min"];
  assert.deepEqual([reasons(), line.asked], [[late, late, late], []]);
});

test("what waits for another model's take of the same engine is over when its own time is, or when it is stopped", async () => {
  const clock = new FakeClock();
  const { take, line, transfer, told } = await bench({ clock });
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const fetchArtifact = transfer.fetchArtifact.bind(transfer);
  transfer.fetchArtifact = async (...args) => {
    await held;
    return fetchArtifact(...args);
  };
  const stop = new AbortController();
  const [first, second, third] = [take(), take(undefined, stop.signal), take()];
  stop.abort(new Error("no longer wanted"));
  await assert.rejects(second, /no longer wanted/);
  clock.advance(10 * 60_000);
  await third;
  const [kind, { reason }] = told[0] ?? ["", {}];
  assert.deepEqual([kind, reason, line.asked], ["engine.refused", "it did not come within 10 min", []]);
  release();
  await first;
});
