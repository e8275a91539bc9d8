import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "@muster/shared/testing";
import { bench, chunkBytes, digestOf, hurried, never } from "./testing/bad-line.js";

const hourMs = 3_600_000;

for (const [name, jumpMs] of [
  ["forward", 5 * hourMs],
  ["back", -5 * hourMs],
] as const) {
  test(`a time of day that is set ${name} by hours in the middle neither ends a transfer, nor stalls it, nor sends a byte twice`, async () => {
    const clock = new FakeClock();
    const { artifact, shelf, transfer, line } = await bench(undefined, clock);
    line.carry = (frame, deliver) => {
      clock.jump(jumpMs);
      // Long enough for the transfer to look at its clock while it waits.
      void clock.sleep(1500).then(() => deliver(frame));
    };
    await hurried(
      clock,
      transfer.fetchArtifact(artifact, never, () => undefined),
    );
    assert.equal(await digestOf(shelf.path(artifact.sha256)), artifact.sha256);
    assert.equal(line.sentBytes, artifact.sizeBytes + artifact.index.sizeBytes);
  });

  test(`a lost frame is asked for again in time, and a busy hub after its pause, whose clock was set ${name}`, async () => {
    const clock = new FakeClock();
    const { artifact, shelf, transfer, line } = await bench(undefined, clock);
    line.carry = (frame, deliver) => {
      if (frame.offset === 5 * chunkBytes && line.asked.length < 20) {
        line.answer({ transfer: frame.transfer, request: frame.request, error: "busy", retryMs: 1000 });
        clock.jump(jumpMs);
        if (line.asked.length < 10) return;
      }
      deliver(frame);
    };
    const beforeMs = clock.steady();
    await hurried(
      clock,
      transfer.fetchArtifact(artifact, never, () => undefined),
    );
    assert.equal(await digestOf(shelf.path(artifact.sha256)), artifact.sha256);
    assert.ok(clock.steady() - beforeMs < 120_000, `it took ${clock.steady() - beforeMs} ms`);
  });
}

test("a hub that is busy for longer than a stall takes is waited for; one that says nothing is given up", async () => {
  const clock = new FakeClock();
  const { artifact, shelf, transfer, line } = await bench(undefined, clock);
  const busyUntilMs = 20 * 60_000;
  line.carry = (frame, deliver) => {
    if (clock.steady() > busyUntilMs) return deliver(frame);
    line.answer({ transfer: frame.transfer, request: frame.request, error: "busy", retryMs: 20_000 });
  };
  await hurried(
    clock,
    transfer.fetchArtifact(artifact, never, () => undefined),
    5000,
  );
  assert.ok(clock.steady() > busyUntilMs);
  await shelf.remove(artifact.sha256);
  line.carry = () => undefined;
  await assert.rejects(
    hurried(
      clock,
      transfer.fetchArtifact(artifact, never, () => undefined),
      5000,
    ),
    { code: "transfer/stalled" },
  );
});
