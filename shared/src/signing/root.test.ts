import assert from "node:assert/strict";
import { test } from "node:test";
import { newSigners, rootOf, type Signers, sealRoot } from "../testing/signed-roots.js";
import { generateSigningKey } from "./envelope.js";
import { followRoots, lostKey, openRoot, type Role, type Root, refuseExpired } from "./root.js";

const first = newSigners({ root: 3 });
const twoOfThree = (signers: Signers, version: number) => {
  const root = rootOf(signers, { version });
  return { ...root, roles: { ...root.roles, root: { ...root.roles.root, threshold: 2 } } };
};
const one = twoOfThree(first, 1);
const second = newSigners({ root: 3 });
const two = twoOfThree(second, 2);
const [a, b, c] = [...first.root] as [Key, Key, Key];
const [x, y] = [...second.root] as [Key, Key];
type Key = ReturnType<typeof generateSigningKey>;

const refused = (work: () => unknown, message: RegExp) => assert.throws(work, { code: "signature/invalid", message });

test("a root is opened when a threshold of its own keys signed it", () => {
  assert.deepEqual(openRoot(sealRoot(one, [a, c])), one);
  refused(() => openRoot(sealRoot(one, [a])), /root 1 needs 2 trusted signature\(s\) and has 1/);
  refused(() => openRoot(sealRoot(one, [a, x])), /has 1/);
  refused(() => openRoot({ ...sealRoot(one, [a, b]), payloadType: "application/other" }), /expected/);
});

test("a step needs a threshold of the keys before and of its own", () => {
  assert.deepEqual(followRoots(one, [sealRoot(two, [a, b, x, y])]), two);
  refused(() => followRoots(one, [sealRoot(two, [a, x, y])]), /by the keys of root 1, needs 2 .* has 1/);
  refused(() => followRoots(one, [sealRoot(two, [a, b, x])]), /root 2 needs 2 .* has 1/);
});

test("a device that was away follows step by step, and a gap is refused", () => {
  const third = newSigners({ root: 1 });
  const three = rootOf(third, { version: 3 });
  const chain = [sealRoot(one, [a, b]), sealRoot(two, [a, b, x, y]), sealRoot(three, [x, y, ...third.root])];
  assert.deepEqual(followRoots(one, chain), three);
  assert.deepEqual(followRoots(three, chain), three);
  refused(() => followRoots(one, chain.slice(2)), /root 3 cannot follow root 1: the steps between are missing/);
  refused(() => followRoots(one, [sealRoot(three, [a, b, ...third.root])]), /cannot follow/);
});

test("another chain does not count because its version is higher", () => {
  const stranger = newSigners();
  refused(() => followRoots(one, [sealRoot(rootOf(stranger, { version: 2 }), stranger.root)]), /has 0/);
});

test("a root that makes no sense is refused whoever signed it", () => {
  const key = generateSigningKey().public;
  const roles = (role: Role, over: object) => ({ ...one.roles, [role]: { ...one.roles[role], ...over } });
  const wrong: [object, RegExp][] = [
    [{ roles: roles("release", { keys: one.roles.director.keys }) }, /one role/],
    [{ roles: roles("root", { threshold: 4 }) }, /above the number of keys/],
    [{ roles: roles("director", { keys: [...one.roles.director.keys, key], threshold: 2 }) }, /signs alone/],
    [{ roles: roles("release", { keys: [] }) }, /keys/],
    [{ roles: roles("release", { keys: [{ ...key, keyid: "0".repeat(64) }] }) }, /the id is not that of the key/],
    [{ version: 0 }, /version/],
  ];
  for (const [over, message] of wrong) refused(() => openRoot(sealRoot({ ...one, ...over } as Root, [a, b])), message);
});

test("an expired root says how to get a newer one", () => {
  refuseExpired(one, one.expiresMs - 1);
  assert.throws(() => refuseExpired(one, one.expiresMs), { code: "desired/refused", message: /root 1 expired 1971/ });
});

test("a key that was taken away on the way is noticed, also when the last root looks like the first", () => {
  const { director } = one.roles;
  const other = { keys: two.roles.director.keys, threshold: 1 };
  const both = { keys: [...director.keys, ...other.keys], threshold: 1 };
  const roots = (...all: (typeof director)[]) =>
    all.map((keys) => ({ ...one, roles: { ...one.roles, director: keys } }));
  assert.equal(lostKey(roots(director, both), "director"), false);
  assert.equal(lostKey(roots(director, both, other), "director"), true);
  assert.equal(lostKey(roots(both, other, both), "director"), true);
  assert.equal(lostKey(roots(director), "director"), false);
});
