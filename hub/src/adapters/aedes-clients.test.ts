import assert from "node:assert/strict";
import { test } from "node:test";
import type { Client } from "aedes";
import { AedesClients } from "./aedes-clients.js";

/** What is looked at of a connection. */
function connection(id: string) {
  const made = { id, closed: false, conn: { destroy: () => undefined } };
  return made as unknown as Client & { closed: boolean };
}

test("a connection is known by its name until it has ended, and lanes are counted", () => {
  const clients = new AedesClients();
  const [own, lane] = [connection("d1"), connection("d1.2")];
  assert.ok(clients.enter(own) && clients.enter(lane));
  assert.deepEqual([clients.of("d1"), clients.of("d1", 2), clients.of("d1", 1)], [own, lane, undefined]);
  assert.deepEqual(
    [...clients.all()].map(({ device }) => device),
    ["d1", "d1"],
  );
  assert.equal(clients.lanes, 1);
  assert.ok(clients.leave(lane));
  assert.deepEqual([clients.lanes, clients.of("d1", 2)], [0, undefined]);
});

test("a name that was taken over stays with the one that has it", () => {
  const clients = new AedesClients();
  const [first, second] = [connection("d1.1"), connection("d1.1")];
  clients.enter(first);
  first.closed = true;
  clients.enter(second);
  assert.equal(clients.leave(first), false);
  assert.ok(clients.has(second));
  assert.equal(clients.lanes, 1);
});

test("one that takes a name over and ends at once leaves nothing behind, though aedes tells its end before its beginning", () => {
  const clients = new AedesClients();
  for (const id of ["d1", "d1.1"]) {
    const [first, second] = [connection(id), connection(id)];
    clients.enter(first);
    for (const one of [first, second]) one.closed = true;
    assert.equal(clients.leave(second), true, "the name has gone");
    assert.equal(clients.enter(second), false);
  }
  assert.deepEqual([clients.lanes, [...clients.all()]], [0, []]);
});
