import assert from "node:assert/strict";
import { test } from "node:test";
import { Access } from "./access.js";
import { rooms } from "./testing/hub-rooms.js";

const dayMs = 86_400_000;

async function bench() {
  const { db, clock } = await rooms();
  const access = new Access(db, clock);
  await access.admit("first secret");
  const token = (user: string, over: object = {}) =>
    access.createToken({ user, label: "", scope: "", validMs: dayMs, ...over });
  const who = (secret: string) => access.identify(secret, "::1");
  return { db, clock, access, token, who };
}

test("the first admin is let in with its secret, of which only a hash is stored", async () => {
  const { db, access, who } = await bench();
  assert.deepEqual((await who("first secret"))?.roles, ["admin"]);
  assert.equal(await who("first secret "), undefined);
  assert.equal(await access.isNew(), false);
  assert.ok(!JSON.stringify(await db.selectFrom("tokens").selectAll().execute()).includes("first secret"));
});

test("a token opens until it expires or is revoked, or its user is disabled or gone", async () => {
  const { access, clock, token, who } = await bench();
  await access.addUser({ name: "ines", role: "operator", scope: "site=lyon" });
  const [short, long, third] = [await token("ines"), await token("ines", { validMs: 9 * dayMs }), await token("ines")];
  assert.match(short.secret, /^muster_[0-9a-f]{48}$/);
  assert.deepEqual((await who(short.secret))?.scope, "site=lyon");
  await access.revokeToken(third.id);
  assert.equal(await who(third.secret), undefined);
  clock.advance(dayMs);
  assert.equal(await who(short.secret), undefined);
  assert.equal((await access.user("ines")).tokens, 1);
  await access.changeUser("ines", { disabled: true });
  assert.equal(await who(long.secret), undefined);
  await access.changeUser("ines", { disabled: false });
  assert.ok(await who(long.secret));
  await access.removeUser("ines");
  assert.equal(await who(long.secret), undefined);
  assert.deepEqual(
    (await access.tokens()).map(({ user }) => user),
    ["admin"],
  );
});

test("a token is never more than its user, also when the user becomes less", async () => {
  const { access, token, who } = await bench();
  await access.addUser({ name: "ines", role: "operator", scope: "site=lyon" });
  await assert.rejects(token("ines", { role: "admin" }), { code: "request/invalid", message: /would be more/ });
  await assert.rejects(token("ines", { scope: "a=b=c" }), { code: "selector/invalid" });
  const narrow = await token("ines", { role: "viewer", scope: "line=3" });
  const actor = await who(narrow.secret);
  assert.deepEqual([actor?.roles, actor?.scope], [["operator", "viewer"], "site=lyon,line=3"]);
  const wide = await token("ines");
  await access.changeUser("ines", { role: "viewer" });
  assert.deepEqual((await who(wide.secret))?.roles, ["viewer"]);
});

test("nobody can lock everybody out", async () => {
  const { access, token } = await bench();
  const [only] = await access.tokens();
  const refused = { code: "user/last-admin" } as const;
  await assert.rejects(access.removeUser("admin"), refused);
  await assert.rejects(access.changeUser("admin", { disabled: true }), refused);
  await assert.rejects(access.changeUser("admin", { role: "viewer" }), refused);
  await assert.rejects(access.revokeToken(only?.id ?? ""), refused);
  await access.addUser({ name: "second", role: "admin", scope: "" });
  await assert.rejects(access.removeUser("admin"), refused, "the second has no token yet");
  await token("second", { role: "viewer" });
  await assert.rejects(access.removeUser("admin"), refused, "nor one that can administer");
  await token("second");
  await access.removeUser("admin");
  await assert.rejects(access.changeUser("second", { scope: "site=lyon" }), { code: "request/invalid" });
});

test("users are named once, and what is unknown says where to look", async () => {
  const { access } = await bench();
  await access.addUser({ name: "ci", role: "publisher", scope: "" });
  await assert.rejects(access.addUser({ name: "ci", role: "viewer", scope: "" }), { code: "user/exists" });
  await assert.rejects(access.addUser({ name: "x", role: "viewer", scope: "a=b=c" }), { code: "selector/invalid" });
  await assert.rejects(access.user("nobody"), { code: "user/unknown" });
  await assert.rejects(access.revokeToken("t-0"), { code: "token/unknown" });
  assert.deepEqual(
    (await access.users()).map(({ name }) => name),
    ["admin", "ci"],
  );
});
