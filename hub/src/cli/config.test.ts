import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connection } from "./config.js";

async function home(t: TestContext, config?: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "muster-cli-"));
  t.after(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, ".config", "muster"), { recursive: true });
  if (config !== undefined) await writeFile(join(folder, ".config", "muster", "config.yaml"), config);
  return folder;
}

test("without any configuration the hub of this machine is meant", async (t) => {
  const expected = { hub: "http://127.0.0.1:7400", token: undefined, ca: undefined };
  assert.deepEqual(await connection({ env: {}, home: await home(t) }, {}), expected);
});

test("flags go before the environment, the environment before the file", async (t) => {
  const folder = await home(t, "hub: http://127.0.0.1:1\ntoken: from-file\n");
  const env = { MUSTER_HUB: "http://127.0.0.1:2", MUSTER_TOKEN: "from-env" };
  assert.equal((await connection({ env: {}, home: folder }, {})).hub, "http://127.0.0.1:1");
  assert.deepEqual(await connection({ env, home: folder }, {}), {
    hub: "http://127.0.0.1:2",
    token: "from-env",
    ca: undefined,
  });
  const flags = { hub: "http://127.0.0.1:3/", token: "from-flag" };
  const { hub, token } = await connection({ env, home: folder }, flags);
  assert.deepEqual({ hub, token }, { hub: "http://127.0.0.1:3", token: "from-flag" });
});

test("MUSTER_CONFIG and XDG_CONFIG_HOME say where the file is; the first must exist", async (t) => {
  const folder = await home(t, "token: from-file\n");
  const xdg = { XDG_CONFIG_HOME: join(folder, ".config") };
  assert.equal((await connection({ env: xdg, home: "/nonexistent" }, {})).token, "from-file");
  const missing = connection({ env: { MUSTER_CONFIG: join(folder, "no.yaml") }, home: folder }, {});
  await assert.rejects(missing, { code: "config/invalid", message: /no\.yaml/ });
});

test("a token of digits stays the text it is, and an empty variable counts as not set", async () => {
  const env = { MUSTER_TOKEN: "0123", MUSTER_HUB: "" };
  const { hub, token } = await connection({ env, home: "/nonexistent" }, {});
  assert.deepEqual({ hub, token }, { hub: "http://127.0.0.1:7400", token: "0123" });
});

test("a token file named by a flag goes before a token in the environment", async (t) => {
  const file = join(await home(t), "admin.token");
  await writeFile(file, "from-token-file\n");
  const io = { env: { MUSTER_TOKEN: "from-env" }, home: "/nonexistent" };
  assert.equal((await connection(io, { tokenFile: file })).token, "from-token-file");
  await assert.rejects(connection(io, { tokenFile: `${file}.no` }), { code: "config/invalid", message: /cannot read/ });
  await assert.rejects(connection(io, { tokenFile: file, token: "x" }), {
    code: "config/invalid",
    message: /one of them/,
  });
});

test("a token is not sent unencrypted to another machine", async () => {
  const io = { env: {}, home: "/nonexistent" };
  await assert.rejects(connection(io, { hub: "http://hub.example:7400", token: "secret" }), { message: /https:\/\// });
  assert.equal((await connection(io, { hub: "https://hub.example:7400", token: "secret" })).token, "secret");
});

test("an address without http and an unknown key are named together", async (t) => {
  const folder = await home(t, "hub: hub.example:7400\ntokn: x\n");
  await assert.rejects(connection({ env: {}, home: folder }, {}), (error: Error) => {
    assert.match(error.message, /hub: must be an address/);
    assert.match(error.message, /tokn: unknown key/);
    return true;
  });
});
