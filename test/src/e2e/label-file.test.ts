import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type Rollout, sha256, type VersionList } from "@muster/shared";
import { makeBundle } from "../fixtures/bundles.js";
import { labelPostprocess } from "../fixtures/label-model.js";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { lineOfText, makeReaderBundle } from "../fixtures/reader-bundle.js";
import { AgentMachine, eventually } from "../fleet/fleet.js";
import { blobPath, damagedBlobs } from "../fleet/shelf-files.js";
import { devices, ended, model, rollOut } from "./line.js";
import { startHub } from "./place.js";

test("a recogniser whose characters are a file of the bundle travels with it, proves itself and reads", async (t) => {
  const { hub, folder } = await startHub(t);
  const machine = new AgentMachine(folder, "d1");
  await machine.join(hub, "site=lyon");
  await machine.start();
  t.after(() => machine.program.stop());
  const bundle = join(folder, "reader");
  const push = () => hub.operator.run("model", "push", bundle);

  await makeReaderBundle(bundle, "1.0.0", ["a", "b", "", "d"]);
  const gap = await push();
  assert.equal(gap.code, 1);
  assert.match(gap.stderr, /postprocess\.labelsFile: 'characters\.txt' has nothing in line 3/);
  await makeReaderBundle(bundle, "1.0.0", ["a", "b", "c"]);
  assert.match(
    (await push()).stderr,
    /postprocess\.labelsFile: .*there are 3 characters and the blank, but the output has 6625/,
  );

  await makeReaderBundle(bundle, "1.0.0");
  const pushed = await push();
  assert.equal(pushed.code, 0, pushed.stderr);
  const shown = await hub.operator.run("model", "show", "reader", "1.0.0");
  assert.match(shown.stdout, /labels +in characters\.txt, /);
  const { versions } = await hub.operator.json<VersionList>("model", "ls");
  const { files = [] } = versions[0]?.manifest ?? {};
  const digest = sha256(await readFile(join(bundle, "characters.txt")));
  assert.deepEqual(
    files.map(({ path, sha256: named }) => [path, named]),
    [["characters.txt", digest]],
  );
  assert.doesNotMatch(JSON.stringify(versions), /疗/, "the list does not hold the characters");

  await writeFile(join(bundle, "characters.txt"), "other\n");
  const { id } = await hub.operator.json<Rollout>(
    ...(["rollout", "start", "reader", "1.0.0", "--waves", "100%"] as const),
    ...(["--soak", "0s", "--probation", "300ms", "--retries", "0"] as const),
  );
  assert.equal((await ended(hub, id)).state, "completed");
  const ask = async () => {
    const response = await fetch(`${machine.inferenceUrl}/v2/models/reader/infer`, {
      method: "POST",
      headers: { "content-type": "image/png" },
      body: new Uint8Array(await lineOfText("EXP 2027-03-14")),
    });
    return (await response.json()) as { text?: string };
  };
  assert.equal((await ask()).text, "EXP 2027-03-14");
  await machine.program.stop();
  await machine.start();
  assert.equal((await ask()).text, "EXP 2027-03-14", "and after a restart, from what lies on the disk");

  await machine.program.stop();
  await writeFile(blobPath(machine, digest), "other\n");
  await machine.start();
  await machine.program.waitFor("model.damaged", 20_000);
  await machine.program.waitFor("model.repaired", 60_000);
  assert.deepEqual(await damagedBlobs(machine), []);
  const text = await eventually("it reads again", async () => (await ask().catch(() => undefined))?.text);
  assert.equal(text, "EXP 2027-03-14", "a damaged dictionary is fetched again and never used");
});

test("a classifier whose labels are a file of the bundle is listed, proves itself and answers with them", async (t) => {
  const { hub, folder } = await startHub(t);
  const [machine] = await devices(t, hub, folder, 1);
  assert.ok(machine !== undefined);
  const bundle = join(folder, "classifier");
  await makeBundle(bundle, { version: "1.0.0", kind: "fp32", referenceImages: 40, samples: 2 });
  const described = join(bundle, "muster.yaml");
  const text = (await readFile(described, "utf8")).replace(/^ {2}labels: .*$/m, "  labelsFile: labels.txt");
  await writeFile(described, text);
  await writeFile(join(bundle, "labels.txt"), labelPostprocess.labels.join("\n"));
  const pushed = await hub.operator.run("model", "push", bundle);
  assert.equal(pushed.code, 0, pushed.stderr);
  const { versions } = await hub.operator.json<VersionList>("model", "ls");
  assert.deepEqual(
    versions.map((one) => [one.model, one.version]),
    [[model, "1.0.0"]],
  );
  assert.equal((await ended(hub, (await rollOut(hub, "1.0.0")).id)).state, "completed");
  const response = await machine.infer(await renderLabel({ text: labelText(3), rotated: true, seed: 3 }));
  assert.equal(((await response.json()) as { label: string }).label, "rotated-180");
});
