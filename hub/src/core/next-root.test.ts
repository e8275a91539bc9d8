import assert from "node:assert/strict";
import { test } from "node:test";
import type { RoleKeys } from "@muster/shared";
import { newSigners, rootOf } from "@muster/shared/testing";
import { nextRoot, renewalDue, withKey, withoutKey } from "./next-root.js";

const signers = newSigners({ root: 3 });
const before = rootOf(signers, { issuedMs: 1000 });
const [one, two, three] = before.roles.root.keys as [Key, Key, Key];
type Key = RoleKeys["keys"][number];

test("the next root is one version up, with the roles that changed and the others as they were", () => {
  const changed = { keys: [one, two], threshold: 2 };
  const next = nextRoot(before, { root: changed }, { nowMs: 5000, lifeMs: 100 });
  assert.deepEqual(next, { version: 2, issuedMs: 5000, expiresMs: 5100, roles: { ...before.roles, root: changed } });
});

test("a key is added once, or takes the place of all others", () => {
  const role = { keys: [one, two], threshold: 2 };
  assert.deepEqual(withKey(role, three, false), { keys: [one, two, three], threshold: 2 });
  assert.deepEqual(withKey(role, one, false), { keys: [two, one], threshold: 2 });
  assert.deepEqual(withKey(role, three, true), { keys: [three], threshold: 1 });
});

test("a key is not taken away when too few would be left to sign", () => {
  assert.deepEqual(withoutKey({ keys: [one, two, three], threshold: 2 }, two.keyid), {
    keys: [one, three],
    threshold: 2,
  });
  assert.equal(withoutKey({ keys: [one, two], threshold: 2 }, two.keyid), undefined);
  assert.equal(withoutKey({ keys: [one], threshold: 1 }, one.keyid), undefined);
});

test("a root is due for renewal when half of its life is over", () => {
  const root = { ...before, issuedMs: 0, expiresMs: 100 };
  assert.deepEqual([renewalDue(root, 50), renewalDue(root, 51)], [false, true]);
});
