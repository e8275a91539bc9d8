import assert from "node:assert/strict";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type Invite, sha256, type TrustView } from "@muster/shared";
import { isMissing } from "@muster/shared/node";
import { makeBundle } from "../fixtures/bundles.js";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { programs, runCommand } from "../fleet/cli.js";
import { eventually } from "../fleet/fleet.js";
import { committed, devices, ended, model, push, rollOut } from "./line.js";
import { startHub } from "./place.js";

test("every role's keys are rotated while a device is away, and it catches up with all of it at once", async (t) => {
  const { hub, folder } = await startHub(t);
  const [here, away] = await devices(t, hub, folder, 2);
  assert.ok(here !== undefined && away !== undefined);
  const keys = join(folder, "keys");
  const muster = async (...args: string[]) => {
    const { code, stderr } = await hub.operator.run(...args);
    assert.equal(code, 0, `muster ${args.join(" ")}: ${stderr}`);
  };
  const refused = async (says: RegExp, ...args: string[]) => {
    const { code, stderr } = await hub.operator.run(...args);
    assert.notEqual(code, 0);
    assert.match(stderr, says);
  };
  const trust = () => hub.operator.json<TrustView>("key", "ls");
  const rootOf = async (agent: typeof here) => {
    const state = JSON.parse(await readFile(join(agent.dataDir, "state.json"), "utf8")) as {
      trust?: { root: { version: number } };
    };
    return state.trust?.root.version;
  };
  await push(hub, folder, "1.0.0", "fp32");
  assert.equal((await ended(hub, (await rollOut(hub, "1.0.0")).id)).state, "completed");
  await away.program.stop();

  await t.test("root and release leave the hub, and two of three root keys have to sign from now on", async () => {
    await muster("key", "init", keys, "--root-keys", "3", "--threshold", "2");
    const { version, roles } = await trust();
    assert.deepEqual([version, roles.root.threshold, roles.root.keys.length], [2, 2, 3]);
    assert.ok([...roles.root.keys, ...roles.release.keys].every(({ onHub }) => !onHub));
    for (const role of ["root", "release"]) {
      const gone = await readFile(join(hub.dataDir, "keys", `${role}.key.pem`)).catch(isMissing);
      assert.equal(gone, true, `the hub's ${role} key is still there`);
    }
    await eventually("the connected device follows", async () => ((await rootOf(here)) === 2 ? true : undefined));
    await refused(/never overwritten/, "key", "init", keys);
  });
  await t.test("without the release key nothing is published, and with a strange one neither", async () => {
    const bundle = join(folder, "bundles", "unsigned");
    await makeBundle(bundle, { version: "1.5.0", kind: "fp32", referenceImages: 0, samples: 2 });
    await refused(/release key is not on this hub.*--key/, "model", "push", bundle);
    await refused(/trusted signature/, "model", "push", bundle, "--key", join(keys, "root-1.key.pem"));
    await refused(/cannot read a signing key/, "model", "push", bundle, "--key", join(folder, "none.pem"));
  });
  await t.test("director", async () => {
    const before = (await trust()).roles.director.keys;
    await muster("key", "rotate", "director", "--keys", keys);
    const { version, roles } = await trust();
    assert.equal(version, 3);
    assert.ok(roles.director.keys.every(({ keyid, onHub }) => onHub && !before.some((key) => key.keyid === keyid)));
  });
  await t.test("release, the key before staying good for a while", async () => {
    await muster("key", "rotate", "release", "--new-in", keys, "--keys", keys);
    assert.equal((await trust()).roles.release.keys.length, 2);
    const old = ["--key", join(keys, "release.key.pem")];
    await push(hub, folder, "2.0.0", "int8-weights", ...old);
    await muster("model", "republish", model, "2.0.0", "--as", "2.0.1", ...old);
    await refused(/trusted signature/, "model", "republish", model, "1.0.0", "--as", "1.0.1", ...old);
  });
  await t.test("root, by a ceremony of people who never give their keys away", async () => {
    const [one, two, fresh] = [join(folder, "person-1"), join(folder, "person-2"), join(folder, "fresh")];
    for (const [person, name] of [
      [one, "root-1"],
      [two, "root-3"],
    ] as const) {
      await mkdir(person);
      await copyFile(join(keys, `${name}.key.pem`), join(person, `${name}.key.pem`));
      await copyFile(join(keys, "root.json"), join(person, "root.json"));
    }
    const file = join(folder, "root.json");
    await muster(
      "key",
      "rotate",
      "root",
      "--new-in",
      fresh,
      "--root-keys",
      "1",
      "--threshold",
      "1",
      "--keys",
      one,
      "--out",
      file,
    );
    await refused(/by the keys of root 4, needs 2 trusted signature\(s\) and has 1/, "key", "submit", file);
    const { payload } = JSON.parse(await readFile(file, "utf8")) as { payload: string };
    const digest = sha256(Buffer.from(payload, "base64"));
    const second = ["--key", join(two, "root-3.key.pem")];
    await refused(/not signed: the digest/, "key", "sign", file, "--digest", "0".repeat(16), ...second);
    await muster("key", "sign", file, "--digest", digest.slice(0, 16), ...second);
    await muster("key", "submit", file);
    assert.equal((await trust()).version, 5);
    await refused(/in force already/, "key", "submit", file);
    await muster("key", "renew", "--keys", fresh, "--life", "30d");
    await refused(/no root key signed this root.*--keys/, "key", "renew", "--keys", one);
    await refused(/does not lie on the hub.*--new-in/, "key", "rotate", "root", "--keys", fresh);
    await refused(/does not lie on the hub.*--new-in/, "key", "rotate", "release", "--keys", fresh);
    const elsewhere = await startHub(t);
    const fooled = await elsewhere.hub.operator.run("key", "renew", "--keys", fresh);
    assert.notEqual(fooled.code, 0);
    assert.match(fooled.stderr, /does not follow from that in .*; sign nothing/);
  });
  await t.test("the device that was away follows four roots with its first message", async () => {
    assert.equal(await rootOf(away), 1);
    await away.start();
    await eventually("it follows", async () => ((await rootOf(away)) === 6 ? true : undefined));
    assert.ok(!away.program.log.some(({ event }) => event === "desired.refused"));
    const rollout = await ended(hub, (await rollOut(hub, "2.0.0")).id);
    assert.equal(rollout.state, "completed", rollout.reason);
    assert.deepEqual(await committed(hub), { d1: "2.0.0", d2: "2.0.0" });
  });
  await t.test("a retired release key counts no longer, and what it signed goes on serving", async () => {
    const { roles } = await trust();
    const old = roles.release.keys[0]?.keyid ?? "";
    await muster("key", "retire", old.slice(0, 16), "--keys", join(folder, "fresh"));
    const bundle = join(folder, "bundles", "late");
    await makeBundle(bundle, { version: "3.0.0", kind: "fine-tuned", referenceImages: 0, samples: 2 });
    await refused(/trusted signature/, "model", "push", bundle, "--key", join(keys, "release.key.pem"));
    await here.program.stop();
    await here.start();
    const jpeg = await renderLabel({ text: labelText(4), rotated: false, seed: 4 });
    await eventually("it serves again", async () =>
      (await committed(hub)).d1 === "2.0.0" && (await here.infer(jpeg)).status === 200 ? true : undefined,
    );
  });
  await t.test(
    "a device that joins now trusts the newest root, and one with a baked-in root checks the chain",
    async () => {
      const root = join(folder, "known.json");
      await muster("key", "export", "--out", root);
      const invite = await hub.operator.json<Invite>("device", "invite", "--uses", "2");
      const join2 = (name: string, file: string) =>
        runCommand(programs.agent, [
          ...["--data-dir", join(folder, name), "join", invite.url, invite.token],
          ...["--device", name, "--root", file],
        ]);
      assert.equal((await join2("baked", root)).code, 0);
      const stranger = join(folder, "stranger.json");
      const other = await startHub(t);
      await writeFile(stranger, JSON.stringify((await other.hub.operator.json<TrustView>("key", "ls")).chain[0]));
      const { code, stderr } = await join2("fooled", stranger);
      assert.notEqual(code, 0);
      assert.match(stderr, /root/);
    },
  );
});
