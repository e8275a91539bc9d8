import assert from "node:assert/strict";
import { test } from "node:test";
import { encode, type Hello, type LogFields } from "@muster/shared";
import { Ingest, type IngestDeps } from "./ingest.js";
import { RecordedLink, rooms, silent } from "./testing/hub-rooms.js";

test("a disconnect that cannot be stored is counted and told, and what comes after it is taken", async () => {
  const { db, devices } = await rooms();
  const told: unknown[] = [];
  const ingest = new Ingest({
    devices,
    transfers: { forget: () => undefined },
    link: new RecordedLink(),
    log: { ...silent, error: (event: string, fields?: LogFields) => told.push([event, fields?.device]) },
  } as unknown as IngestDeps);
  // As good as a full disk.
  await db.destroy();
  devices.alive("a");
  ingest.onGone("a");
  ingest.onMessage("a", "hello", encode({} as Hello));
  await ingest.close();
  assert.deepEqual(told, [["ingest.message.failed", "a"]]);
  assert.deepEqual(ingest.counters(), { "message-invalid": 1, "message-dropped": 0, "message-failed": 1 });
});
