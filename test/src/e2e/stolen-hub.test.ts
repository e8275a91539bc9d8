import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import {
  type Desired,
  generateSigningKey,
  type Manifest,
  openRoot,
  readSigningKey,
  rootType,
  type SigningKey,
  seal,
  type VersionView,
} from "@muster/shared";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { type AgentMachine, eventually, type HubMachine } from "../fleet/fleet.js";
import { StolenHub } from "../fleet/stolen-hub.js";
import { committed, devices, ended, model, push, rollOut } from "./line.js";
import { startHub } from "./place.js";

/** A fleet whose release and root keys were never on the hub's disk again, with three versions committed. */
async function fleet(t: TestContext) {
  const { hub, folder } = await startHub(t);
  const [agent] = await devices(t, hub, folder, 1);
  assert.ok(agent !== undefined);
  const keys = join(folder, "keys");
  const { code, stderr } = await hub.operator.run("key", "init", keys);
  assert.equal(code, 0, stderr);
  const sign = ["--key", join(keys, "release.key.pem")];
  for (const [version, kind] of [
    ["1.0.0", "fp32"],
    ["2.0.0", "int8-weights"],
    ["3.0.0", "fine-tuned"],
  ] as const) {
    await push(hub, folder, version, kind, ...sign);
    assert.equal((await ended(hub, (await rollOut(hub, version)).id)).state, "completed");
  }
  await push(hub, folder, "4.0.0", "fp32", "--no-self-test", ...sign);
  const release = readSigningKey(await readFile(join(keys, "release.key.pem"), "utf8"));
  return { hub, agent, release };
}

function shown(hub: HubMachine, version: string): Promise<VersionView> {
  return hub.operator.json<VersionView>("model", "show", model, version);
}

async function answeredBy(agent: AgentMachine, jpeg: Uint8Array): Promise<string> {
  const response = await agent.infer(jpeg);
  assert.equal(response.status, 200);
  return ((await response.json()) as { model_version: string }).model_version;
}

test("a stolen hub makes no device run, forget or accept what its keys do not vouch for", async (t) => {
  const { hub, agent, release } = await fleet(t);
  const views = new Map<string, VersionView>();
  for (const version of ["1.0.0", "3.0.0", "4.0.0"]) views.set(version, await shown(hub, version));
  const view = (version: string) => views.get(version) as VersionView;
  await hub.program.stop();
  const thief = await StolenHub.take(hub);
  t.after(() => thief.close());
  const jpeg = await renderLabel({ text: labelText(5), rotated: false, seed: 5 });
  const state = async () => JSON.parse(await readFile(join(agent.dataDir, "state.json"), "utf8")) as StateFile;
  let revision = (await state()).revision;
  let orders = 0;

  /** Sends an order that has to be refused as a whole. */
  const refused = async (reason: RegExp, send: () => Promise<void>) => {
    const before = await state();
    const known = agent.program.log.length;
    await send();
    const line = await eventually(`refused: ${reason}`, async () =>
      agent.program.log.slice(known).find(({ event }) => event === "desired.refused"),
    );
    assert.match(String(line.reason), reason);
    assert.deepEqual(await state(), before, "the device's state changed");
    assert.equal(await answeredBy(agent, jpeg), "3.0.0");
  };
  /** Sends an order that is accepted, and whose version has to be refused. */
  const rejected = async (reason: RegExp, wanted: Desired["models"][number]) => {
    revision += 1;
    await thief.order("d1", { revision, models: [wanted] });
    const line = await eventually(`rejected: ${reason}`, async () =>
      agent.program.log.find(({ event, attempt }) => event === "model.ended" && attempt === wanted.attempt),
    );
    assert.match(JSON.stringify(line.error), reason);
    assert.equal((await state()).models[model]?.committed.version, "3.0.0");
    assert.equal(await answeredBy(agent, jpeg), "3.0.0");
  };
  const attempt = () => {
    orders += 1;
    return `thief.${orders}`;
  };
  const genuine = async (version: string, over: Partial<Manifest> = {}) => {
    const { manifest, manifestDigest } = view(version);
    if (Object.keys(over).length > 0) return thief.offer({ ...manifest, ...over } as Manifest, [release], attempt());
    return thief.offerBytes(manifest, await thief.artifact(manifestDigest), attempt());
  };
  await eventually("the device speaks to the thief", async () => thief.reported.get("d1"), 90_000);

  await t.test("a desired document of another device, an older one, an expired one", async () => {
    await refused(/is for device d2, this is d1/, () => thief.order("d1", { device: "d2", revision: revision + 1 }));
    await refused(/has revision 1, this device has accepted/, () => thief.order("d1", { revision: 1 }));
    await refused(/with other contents/, () => thief.order("d1", { revision }));
    await refused(/expired 20/, () =>
      thief.order("d1", { revision: revision + 1, expiresMs: Date.now() - 1000, issuedMs: Date.now() - 5000 }),
    );
    await refused(/needs 1 trusted signature/, () =>
      thief.order("d1", { revision: revision + 1 }, { key: generateSigningKey() }),
    );
  });
  await t.test("documents that make no sense, and one that is too large", async () => {
    const huge = Array.from({ length: 65 }, () => ({
      model,
      version: "1",
      manifest: {},
      attempt: "x",
      probationMs: 0,
    }));
    await refused(/models/, () => thief.order("d1", { revision: revision + 1, models: huge as never }));
    await refused(/desired message does not fit/, () => thief.orderBytes("d1", Buffer.from('{"desired":7}')));
    await thief.orderBytes("d1", Buffer.alloc(200_000, "x"));
    await agent.program.waitFor("link.message.invalid", 10_000);
    assert.equal(await answeredBy(agent, jpeg), "3.0.0");
  });
  await t.test("a root of the thief's own, and a root with a gap", async () => {
    const root = openRoot(thief.roots.at(-1));
    const own = generateSigningKey();
    const forge = (version: number, signer: SigningKey) => {
      const roles = { ...root.roles, release: { keys: [own.public], threshold: 1 } };
      return seal(rootType, Buffer.from(JSON.stringify({ ...root, version, roles })), [signer]);
    };
    const withRoot = (envelope: unknown) =>
      thief.order("d1", { revision: revision + 1 }, { roots: [...thief.roots, envelope] });
    await refused(/root 3, by the keys of root 2, needs 1 trusted/, () => withRoot(forge(3, own)));
    await refused(/root 4 cannot follow root 2/, () => withRoot(forge(4, own)));
  });
  await t.test("a manifest that the director signed, or nobody", async () => {
    const { manifest } = view("3.0.0");
    const forged = { ...manifest, version: "9.0.0", release: 9 };
    await rejected(/E_SIG.*trusted signature/, thief.offer(forged, [thief.director], attempt()));
    await rejected(/E_SIG.*trusted signature/, thief.offer(forged, [generateSigningKey()], attempt()));
  });
  await t.test("a valid older manifest, and a genuine one under another name", async () => {
    await rejected(/E_SIG.*release 1 of .* has had 3/, await genuine("1.0.0"));
    const { manifest } = view("4.0.0");
    await rejected(/its manifest is of/, {
      ...(await genuine("4.0.0")),
      version: "5.0.0",
      attempt: attempt(),
    });
    assert.equal(manifest.release, 4);
  });
  await t.test("one flipped bit in a chunk, in the index, in the manifest", async () => {
    const { manifest, manifestDigest } = view("4.0.0");
    const [{ artifact }] = manifest.variants as [Manifest["variants"][number]];
    const flip = async (digest: string) => {
      const bytes = Buffer.from(await thief.artifact(digest));
      bytes.writeUInt8(bytes.readUInt8(bytes.length - 9) ^ 1, bytes.length - 9);
      return bytes;
    };
    thief.blobs.set(artifact.index.sha256, await flip(artifact.index.sha256));
    await rejected(/E_HASH/, await genuine("4.0.0"));
    thief.blobs.delete(artifact.index.sha256);
    thief.blobs.set(artifact.sha256, await flip(artifact.sha256));
    const wanted = await genuine("4.0.0");
    await rejected(/E_HASH.*chunk at \d+ of/, wanted);
    thief.blobs.delete(artifact.sha256);
    const envelope = await flip(manifestDigest);
    const bad = thief.offerBytes(manifest, envelope, attempt());
    await rejected(/E_SIG/, bad);
  });
  await t.test(
    "a manifest, an index and an artifact larger than a device takes, before a byte is asked for",
    async () => {
      const { manifest } = view("4.0.0");
      const [variant] = manifest.variants as [Manifest["variants"][number]];
      const large = (over: object) => ({ variants: [{ ...variant, artifact: { ...variant.artifact, ...over } }] });
      const unknown = "a".repeat(64);
      await rejected(/E_DISK|too-large|refused/, {
        ...(await genuine("4.0.0")),
        manifest: { sha256: unknown, sizeBytes: 10 ** 9 },
        attempt: attempt(),
      });
      await rejected(/E_DISK|E_NO_VARIANT/, await genuine("4.0.0", large({ sha256: unknown, sizeBytes: 10 ** 10 })));
      const index = { sha256: unknown, sizeBytes: 10 ** 9 };
      await rejected(/E_DISK/, await genuine("4.0.0", large({ sha256: "b".repeat(64), index })));
      assert.ok(!thief.asked.has(unknown));
    },
  );

  await thief.close();
  await hub.restart();
  t.after(() => hub.program.stop());
  await t.test("and the honest hub goes on where it was", async () => {
    await eventually(
      "the device is back",
      async () => ((await committed(hub)).d1 === "3.0.0" ? true : undefined),
      90_000,
    );
    const rollout = await ended(hub, (await rollOut(hub, "4.0.0")).id, 120_000);
    assert.equal(rollout.state, "completed", rollout.reason);
    assert.equal(await answeredBy(agent, jpeg), "4.0.0");
  });
});

interface StateFile {
  readonly revision: number;
  readonly models: Readonly<Record<string, { readonly committed: { readonly version: string } }>>;
}
