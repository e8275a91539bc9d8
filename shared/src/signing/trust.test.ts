import assert from "node:assert/strict";
import { test } from "node:test";
import { newSigners, rootOf, sealRoot } from "../testing/signed-roots.js";
import { type Desired, desiredType } from "./desired.js";
import { generateSigningKey, type SigningKey, seal } from "./envelope.js";
import type { Root } from "./root.js";
import { acceptDesired, type Trust } from "./trust.js";

const signers = newSigners();
const nowMs = 1_700_000_000_000;
const root = rootOf(signers, { issuedMs: nowMs });
const [director] = signers.director as [SigningKey];
const before: Trust = { root, revision: 5, desired: undefined, trustedMs: nowMs };

const desired = (over: Partial<Desired> = {}, key = director) =>
  seal(
    desiredType,
    Buffer.from(
      JSON.stringify({ device: "a", revision: 6, issuedMs: nowMs, expiresMs: nowMs + 1000, models: [], ...over }),
    ),
    [key],
  );
const take = (message: unknown, clockMs = nowMs, trust = before) => acceptDesired(message, trust, "a", clockMs);
/** The root after another, with other director keys. */
const next = (after: Root, keys: SigningKey[]) => {
  const roles = { ...after.roles, director: { keys: keys.map((key) => key.public), threshold: 1 } };
  return { ...after, version: after.version + 1, roles };
};

test("roots and document advance together, or not at all", () => {
  const fresh = generateSigningKey();
  const roots = [sealRoot(next(root, [fresh]), signers.root)];
  const after = take({ roots, desired: desired({}, fresh) });
  assert.deepEqual([after.root.version, after.revision], [2, 6]);
  assert.throws(() => take({ roots, desired: desired() }), /trusted signature/, "the key was replaced");
  assert.throws(() => take({ roots: [], desired: desired({}, fresh) }), /trusted signature/);
});

test("a device that missed two rotations catches up with one message", () => {
  const [two, three] = [generateSigningKey(), generateSigningKey()];
  const second = next(root, [director, two]);
  const third = next(second, [three]);
  const roots = [sealRoot(second, signers.root), sealRoot(third, signers.root)];
  assert.equal(take({ roots, desired: desired({}, three) }).root.version, 3);
  assert.throws(() => take({ roots: roots.slice(1), desired: desired({}, three) }), /root 3 cannot follow root 1/);
});

test("the same revision is accepted again only with the same contents", () => {
  const after = take({ desired: desired() });
  assert.deepEqual(take({ desired: desired() }, nowMs, after), after);
  assert.throws(() => take({ desired: desired({ expiresMs: nowMs + 2000 }) }, nowMs, after), /with other contents/);
});

test("a stolen director key that ran ahead is undone by replacing it, not by adding another", () => {
  const far = Number.MAX_SAFE_INTEGER;
  const stolen: Trust = { root, revision: far, desired: undefined, trustedMs: nowMs + 10 ** 9 };
  const fresh = generateSigningKey();
  const added = [sealRoot(next(root, [director, fresh]), signers.root)];
  assert.throws(() => take({ roots: added, desired: desired({}, fresh) }, nowMs, stolen), /has revision 6, this/);
  const replaced = [sealRoot(next(root, [fresh]), signers.root)];
  const after = take({ roots: replaced, desired: desired({}, fresh) }, nowMs, stolen);
  assert.deepEqual([after.revision, after.trustedMs], [6, nowMs]);
});

test("a device whose clock is behind takes the latest time it was told, one whose clock is ahead its own", () => {
  assert.equal(take({ desired: desired() }, 0).revision, 6);
  assert.throws(() => take({ desired: desired({ expiresMs: nowMs }) }, 0), /expired/);
  assert.throws(() => take({ desired: desired() }, nowMs + 1000), /expired/);
  assert.equal(take({ desired: desired({ issuedMs: nowMs + 500 }) }, 0).trustedMs, nowMs + 500);
});

test("the old key is taken away in two steps, and what it ran ahead is undone all the same", () => {
  const fresh = generateSigningKey();
  const stolen: Trust = { root, revision: Number.MAX_SAFE_INTEGER, desired: undefined, trustedMs: nowMs };
  const both = next(root, [director, fresh]);
  const roots = [sealRoot(both, signers.root), sealRoot(next(both, [fresh]), signers.root)];
  assert.equal(take({ roots, desired: desired({}, fresh) }, nowMs, stolen).revision, 6);
});

test("a document from after the end of its root is refused, so that time cannot be run away with", () => {
  const issuedMs = root.expiresMs + 1;
  assert.throws(() => take({ desired: desired({ issuedMs, expiresMs: issuedMs + 1000 }) }), /issued after the end/);
});

test("under an expired root nothing is accepted", () => {
  const old: Trust = { ...before, root: { ...root, expiresMs: nowMs - 1 } };
  assert.throws(() => take({ desired: desired() }, nowMs, old), { code: "desired/refused", message: /root 1 expired/ });
  const renewed = [sealRoot({ ...root, version: 2, expiresMs: nowMs + 5000 }, signers.root)];
  assert.equal(take({ roots: renewed, desired: desired() }, nowMs, old).root.version, 2);
});
