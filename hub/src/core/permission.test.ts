import assert from "node:assert/strict";
import { test } from "node:test";
import type { UserRole } from "@muster/shared";
import {
  type Action,
  type Actor,
  coveredBy,
  inScope,
  isWithin,
  may,
  narrowed,
  requireAction,
  requireInvitation,
  requireScope,
} from "./permission.js";

const actor = (roles: UserRole[], scope = ""): Actor => {
  return { user: "ines", token: "t-1", address: "::1", roles, scope, expiresMs: undefined };
};

test("each role may do what its work takes, and no more", () => {
  const actions: Action[] = [
    "read",
    "device.write",
    "rollout.write",
    "model.write",
    "engine.write",
    "trust.write",
    "access.write",
    "audit.read",
  ];
  const allowed = (role: UserRole) => actions.filter((action) => may(actor([role]), action));
  assert.deepEqual(allowed("viewer"), ["read"]);
  assert.deepEqual(allowed("operator"), ["read", "device.write", "rollout.write"]);
  assert.deepEqual(allowed("publisher"), ["read", "model.write", "engine.write"]);
  assert.deepEqual(allowed("admin"), actions);
  assert.equal(may(actor([]), "read"), false);
});

test("a token narrows and never widens", () => {
  assert.equal(may(actor(["admin", "viewer"]), "device.write"), false);
  assert.equal(may(actor(["viewer", "admin"]), "device.write"), false);
  assert.equal(isWithin("viewer", "operator"), true);
  assert.equal(isWithin("publisher", "operator"), false);
  assert.equal(isWithin("admin", "admin"), true);
});

test("who may not is told which role may", () => {
  requireAction(actor(["operator"]), "rollout.write");
  const refused = { code: "access/denied", message: /ines is publisher; rollout\.write needs operator or admin/ };
  assert.throws(() => requireAction(actor(["publisher"]), "rollout.write"), refused);
  for (const action of ["engine.write", "trust.write", "access.write", "audit.read"] as const) {
    assert.throws(() => requireAction(actor(["admin"], "site=lyon"), action), /whole fleet/);
  }
});

test("a scope cuts down what is selected, and covers only what has all of its terms", () => {
  assert.equal(narrowed("", "line=3"), "line=3");
  assert.equal(narrowed("site=lyon", ""), "site=lyon");
  assert.equal(narrowed("site=lyon", "line=3"), "site=lyon,line=3");
  assert.equal(coveredBy("site=lyon", "line=3, site = lyon"), true);
  assert.equal(coveredBy("site=lyon", "line=3"), false);
  assert.equal(coveredBy("site=lyon", "site=nice"), false);
  assert.equal(coveredBy("site=lyon", ""), false);
  assert.equal(coveredBy("", "site=nice"), true);
  assert.equal(inScope("site=lyon", "a", { site: "lyon" }), true);
  requireScope(actor(["operator"], "site=lyon"), "a", { site: "lyon", line: "3" });
  assert.throws(() => requireScope(actor(["operator"], "site=lyon"), "b", { site: "nice" }), { code: "access/denied" });
  assert.throws(() => requireScope(actor(["operator"], "site=lyon"), "", {}), /only with devices of 'site=lyon'/);
});

test("who has a scope invites into it only, and not at all when the scope excludes labels", () => {
  requireInvitation(actor(["operator"], "site=lyon"), "", { site: "lyon" });
  requireInvitation(actor(["operator"], "device=cam-1"), "cam-1", {});
  const refused = { code: "access/denied" } as const;
  assert.throws(() => requireInvitation(actor(["operator"], "site=lyon"), "", {}), refused);
  for (const scope of ["site=lyon,line!=3", "site=lyon,!secret"]) {
    assert.throws(() => requireInvitation(actor(["operator"], scope), "", { site: "lyon" }), /could bring itself/);
  }
});
