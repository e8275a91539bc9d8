import assert from "node:assert/strict";
import { test } from "node:test";
import { acceptDesired, type Hardware, lanesIn, type Wanted } from "@muster/shared";
import { jetson, prebuilt } from "./testing/engine-rooms.js";
import { desiredOf, manifestOf, openDevices, RecordedLink, rooms, storeVersion } from "./testing/hub-rooms.js";

const validMs = 600_000;
const wanted = (version: string): Wanted => ({
  ...{ model: "m", version, attempt: `r.${version}`, probationMs: 0 },
  manifest: { sha256: version.repeat(64).slice(0, 64), sizeBytes: 1 },
});

async function bench() {
  const { db, clock, devices } = await rooms();
  const link = new RecordedLink();
  const { desired, root, engines } = await desiredOf({ db, clock, devices }, link, validMs);
  const last = () => {
    const { device = "", payload } = link.sent.at(-1) ?? {};
    const before = { root, revision: 0, desired: undefined, trustedMs: 0 };
    const { desired: document } = acceptDesired(JSON.parse(String(payload)), before, device, clock.now());
    if (document === undefined) throw new Error("nothing was sent");
    return document;
  };
  return { db, clock, devices, link, desired, engines, last };
}

test("each change is one signed document for that device, with a rising revision and all of its models", async () => {
  const { desired, last, link, devices } = await bench();
  await desired.want("a", "m", wanted("1"));
  await desired.want("a", "n", { ...wanted("7"), model: "n" });
  assert.deepEqual(
    [last().device, last().revision, last().models.map(({ model, version }) => `${model} ${version}`)],
    ["a", 2, ["m 1", "n 7"]],
  );
  await desired.want("a", "m", undefined);
  assert.deepEqual(
    last().models.map(({ model }) => model),
    ["n"],
  );
  const sent = link.sent.length;
  await desired.want("a", "n", { ...wanted("7"), model: "n" });
  assert.equal(link.sent.length, sent, "wanting what is wanted already issues nothing");
  assert.equal((await devices.get("b")).desired.revision, 0);
});

test("a device is told beside how many lanes it may open here; a hub that says nothing of it has none", async () => {
  const { desired, link } = await bench();
  await desired.resend("a");
  const message = JSON.parse(String(link.sent.at(-1)?.payload)) as Record<string, unknown>;
  assert.equal(lanesIn(message), link.lanes);
  assert.equal(lanesIn({ ...message, lanes: undefined }), 0);
  assert.equal(lanesIn({ ...message, lanes: "many" }), 0);
  assert.equal(lanesIn("no message"), 0);
});

test("a document is sent again as it is, and signed anew when half of its life is over", async () => {
  const { desired, last, clock } = await bench();
  await desired.want("a", "m", wanted("1"));
  clock.advance(validMs / 2 - 1);
  await desired.resend("a");
  assert.equal(last().revision, 1);
  clock.advance(2);
  await desired.resend("a");
  assert.deepEqual([last().revision, last().expiresMs], [2, clock.now() + validMs]);
});

test("a device that joined and is wanted nothing gets an empty document, an unknown one gets none", async () => {
  const { desired, last, link } = await bench();
  await desired.resend("a");
  assert.deepEqual(last().models, []);
  const sent = link.sent.length;
  await desired.resend("nobody");
  await desired.want("nobody", "m", wanted("1"));
  assert.equal(link.sent.length, sent);
});

test("what is wanted, and who belongs to the fleet, survive a restart", async () => {
  const { desired, db, clock } = await bench();
  await desired.want("a", "m", wanted("1"));
  const again = await openDevices(db, clock);
  assert.deepEqual((await again.get("a")).desired.models, [{ model: "m", version: "1" }]);
  assert.deepEqual([again.has("a"), again.has("x")], [true, false]);
  await again.remove("a");
  assert.equal(again.has("a"), false);
  await assert.rejects(again.get("a"), { code: "device/unknown" });
});

test("a shared engine comes with the document of a device of its class, by a higher revision and no new attempt", async () => {
  const { desired, devices, db, engines, last } = await bench();
  await storeVersion(db, 1);
  const stored = prebuilt(manifestOf(1).variants[0]?.artifact.sha256 ?? "");
  const hello = (id: string, hardware: Hardware) => {
    const said = { agentVersion: "1", bootId: "", revision: 0, rootVersion: 0, clockMs: 0 };
    return devices.hello(id, { ...said, hardware });
  };
  await hello("a", jetson);
  await hello("b", { ...jetson, arch: "x64" });
  for (const id of ["a", "b"]) await desired.want(id, "m", wanted("1"));
  const before = (await devices.get("a")).wanted;
  await engines.put(stored);
  await desired.resend("b");
  assert.deepEqual([last().revision, last().models[0]?.engines], [1, undefined], "it is of another class");
  await desired.resend("a");
  const [model] = last().models;
  assert.deepEqual([last().revision, model?.attempt], [2, "r.1"]);
  assert.deepEqual(model?.engines, [stored.signed?.envelope]);
  assert.deepEqual((await devices.get("a")).wanted, before, "what is wanted is stored without it");
  await desired.resend("a");
  assert.equal(last().revision, 2, "it is told once");
  await hello("a", { ...jetson, onnxruntime: { version: "1.31.0", build: "two" } });
  await desired.resend("a");
  assert.deepEqual([last().revision, last().models[0]?.engines], [3, undefined], "its runtime was replaced");
  await hello("a", jetson);
  await desired.resend("a");
  await engines.remove(stored.id);
  await desired.resend("a");
  assert.deepEqual([last().revision, last().models[0]?.engines], [5, undefined], "it was taken back");
});
