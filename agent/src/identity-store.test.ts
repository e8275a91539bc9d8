import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { newSigners, rootOf, sealRoot } from "@muster/shared/testing";
import {
  commitIdentity,
  loadIdentity,
  nextKeyFile,
  readIdentity,
  replaceIdentity,
  storeKey,
  sweepKeys,
} from "./identity-store.js";

const signers = newSigners();
const identity = {
  ...{ device: "a", mqttUrl: "mqtts://hub:8883", ca: "CA" },
  root: sealRoot(rootOf(signers), signers.root),
};

async function joined(t: TestContext): Promise<{ dataDir: string; files: () => Promise<string[]> }> {
  const dataDir = await mkdtemp(join(tmpdir(), "muster-identity-"));
  t.after(() => rm(dataDir, { recursive: true }));
  await replaceIdentity(dataDir, { ...identity, certificate: "old certificate" }, "old key");
  return { dataDir, files: () => certified(join(dataDir, "identity")) };
}

/** The files of the identity, besides the key that outlives it. */
async function certified(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name !== "sealing.key.pem");
}

const pair = async (dataDir: string) => {
  const { certificate, privateKey } = await loadIdentity(dataDir);
  return [certificate, privateKey];
};
const old = ["old certificate", "old key"];

test("a crash after any step of a change leaves the old identity or the new one, whole", async (t) => {
  const { dataDir, files } = await joined(t);
  const next = { ...identity, certificate: "new certificate", keyFile: nextKeyFile(await readIdentity(dataDir)) };
  assert.deepEqual(await pair(dataDir), old);
  await storeKey(dataDir, next.keyFile, "new key");
  assert.deepEqual(await pair(dataDir), old);
  await commitIdentity(dataDir, next);
  assert.deepEqual(await pair(dataDir), ["new certificate", "new key"]);
  await sweepKeys(dataDir);
  assert.deepEqual(await pair(dataDir), ["new certificate", "new key"]);
  assert.deepEqual((await files()).sort(), [next.keyFile, "identity.json"].sort());
});

test("a key that a crash left behind is deleted at the next start, the one in use never", async (t) => {
  const { dataDir, files } = await joined(t);
  await storeKey(dataDir, "device.12345678.key.pem", "of a change that was cut off");
  await writeFile(join(dataDir, "identity", ".device.9.key.pem.77.abc.tmp"), "half of a key");
  await sweepKeys(dataDir);
  assert.deepEqual(await pair(dataDir), old);
  assert.deepEqual((await files()).sort(), ["device.key.pem", "identity.json"]);
});

test("an identity from before key files had names is read as it is", async (t) => {
  const { dataDir } = await joined(t);
  const path = join(dataDir, "identity", "identity.json");
  const { keyFile: _, ...before } = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
  await writeFile(path, JSON.stringify(before));
  assert.deepEqual(await pair(dataDir), old);
  await sweepKeys(dataDir);
  assert.deepEqual(await pair(dataDir), old);
});

test("a key can be read by its owner only, and the identity does not hold it", async (t) => {
  const { dataDir } = await joined(t);
  const { keyFile } = await replaceIdentity(dataDir, { ...identity, certificate: "new" }, "secret key");
  assert.equal((await stat(join(dataDir, "identity", keyFile))).mode & 0o777, 0o600);
  assert.doesNotMatch(await readFile(join(dataDir, "identity", "identity.json"), "utf8"), /secret/);
});

test("without an identity it says how to join", async (t) => {
  const { dataDir } = await joined(t);
  await rm(join(dataDir, "identity"), { recursive: true });
  await assert.rejects(loadIdentity(dataDir), { code: "identity/missing", message: /muster device invite/ });
});
