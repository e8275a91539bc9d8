import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { z } from "zod";
import { MusterError } from "../errors.js";
import { type ConfigSources, loadConfig } from "./load-config.js";

const schema = z.strictObject({
  dataDir: z.string().min(1),
  mqttPort: z.int().min(0).max(65_535).default(1883),
  verbose: z.boolean().default(false),
  name: z.string().optional(),
  labels: z.record(z.string(), z.string()).default({}),
  origins: z.array(z.string()).default([]),
});

const folder = await mkdtemp(join(tmpdir(), "muster-config-"));
after(() => rm(folder, { recursive: true }));

async function file(text: string): Promise<string> {
  const path = join(folder, `${Math.random()}.yaml`);
  await writeFile(path, text);
  return path;
}

const load = (sources: Partial<ConfigSources>) =>
  loadConfig(schema, { env: {}, envPrefix: "MUSTER_HUB", flags: {}, ...sources });

test("flags win over the environment, the environment over the file, the file over the defaults", async () => {
  const path = await file("dataDir: from-file\nmqttPort: 1\nname: from-file\n");
  const env = { MUSTER_HUB_MQTT_PORT: "2", MUSTER_HUB_NAME: "from-env", OTHER_NAME: "x" };
  const config = await load({ file: path, env, flags: { name: "from-flag", verbose: undefined } });
  const expected = { dataDir: "from-file", mqttPort: 2, name: "from-flag", verbose: false, labels: {}, origins: [] };
  assert.deepEqual(config, expected);
});

test("a configuration is frozen", async () => {
  const config = await load({ flags: { dataDir: "x" } });
  assert.ok(Object.isFrozen(config));
});

test("variables hold numbers, truths, lists and maps as YAML, and text as it is", async () => {
  const env = {
    MUSTER_HUB_DATA_DIR: "007",
    MUSTER_HUB_NAME: "@home: *a #1",
    MUSTER_HUB_VERBOSE: "true",
    MUSTER_HUB_LABELS: '{site: lyon, line: "3"}',
    MUSTER_HUB_ORIGINS: '["a", "b"]',
  };
  assert.deepEqual(await load({ env }), {
    dataDir: "007",
    name: "@home: *a #1",
    verbose: true,
    mqttPort: 1883,
    labels: { site: "lyon", line: "3" },
    origins: ["a", "b"],
  });
});

test("all problems of all sources are told at once, with the file's name", async () => {
  const path = await file("mqttPrt: 1\nverbose: maybe\n");
  const env = { MUSTER_HUB_MQTT_PORT: "many", MUSTER_HUB_LABELS: "{site" };
  await assert.rejects(load({ file: path, env }), (error) => {
    assert.ok(error instanceof MusterError);
    assert.equal(error.code, "config/invalid");
    assert.ok(error.message.startsWith(`${path} does not fit:`));
    const fields = error.problems.map(({ field }) => field).sort();
    assert.deepEqual(fields, ["dataDir", "labels", "mqttPort", "mqttPrt", "verbose"]);
    return true;
  });
});

test("a file that is not there is fine unless it was asked for", async () => {
  const path = join(folder, "none.yaml");
  assert.equal((await load({ file: path, flags: { dataDir: "x" } })).dataDir, "x");
  await assert.rejects(load({ file: path, fileRequired: true, flags: { dataDir: "x" } }), {
    code: "config/invalid",
    message: /cannot read the configuration file .*none\.yaml/,
  });
});

test("a file that is no configuration is told as such", async () => {
  const refused = async (text: string, message: RegExp) =>
    assert.rejects(load({ file: await file(text) }), { code: "config/invalid", message });
  await refused("- a\n", /must hold keys and values/);
  await refused("7\n", /must hold keys and values/);
  await refused("dataDir: [x\n", /line 2/);
  await refused("dataDir: a\ndataDir: b\n", /unique at line 2/);
  await assert.rejects(load({ file: folder, flags: { dataDir: "x" } }), {
    code: "config/invalid",
    message: /cannot read/,
  });
});

test("an empty file is a file without settings, and JSON will do", async () => {
  assert.equal((await load({ file: await file("# nothing yet\n"), flags: { dataDir: "x" } })).mqttPort, 1883);
  assert.equal((await load({ file: await file('{"dataDir": "y"}') })).dataDir, "y");
});
