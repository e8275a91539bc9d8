import { randomBytes } from "node:crypto";
import {
  type ChangeUser,
  type Clock,
  type CreatedToken,
  type CreateToken,
  type CreateUser,
  MusterError,
  newId,
  sha256,
  type TokenView,
  Turns,
  UserRole,
  type UserView,
} from "@muster/shared";
import { parseSelector } from "./core/fleet.js";
import { type Actor, isWithin, narrowed } from "./core/permission.js";
import type { Database } from "./store/sql.js";
import type { Tables } from "./store/tables.js";

type UserRow = Tables["users"];
type TokenRow = Tables["tokens"];

/** The user of the first start. */
export const firstAdmin = "admin";
/** The last use is written at most so often. */
const usedEveryMs = 60_000;

/** Who may use the API: users, and the tokens that speak for them. */
export class Access {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #turns = new Turns();

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Whether anybody has ever been let in. */
  async isNew(): Promise<boolean> {
    return (await this.#db.selectFrom("users").select("name").limit(1).executeTakeFirst()) === undefined;
  }

  /** Lets the first admin in with this secret; also the way back when no admin has a token any more. */
  async admit(secret: string): Promise<void> {
    const row: UserRow = { name: firstAdmin, role: "admin", scope: "", disabled: 0, created_ms: this.#clock.now() };
    const { role, scope, disabled } = row;
    await this.#db
      .insertInto("users")
      .values(row)
      .onConflict((conflict) => conflict.column("name").doUpdateSet({ role, scope, disabled }))
      .execute();
    await this.#insert({ user: firstAdmin, label: "first start", scope: "" }, secret, null);
  }

  /**
   * Whom a secret speaks for; undefined when it opens nothing. Secrets are looked up by their SHA-256: they have 192
   * random bits, so the time of a look-up tells nothing that helps to guess one.
   */
  async identify(secret: string, address: string): Promise<Actor | undefined> {
    const nowMs = this.#clock.now();
    const token = await this.#db
      .selectFrom("tokens")
      .selectAll()
      .where("secret_hash", "=", sha256(secret))
      .executeTakeFirst();
    if (token === undefined || (token.expires_ms !== null && token.expires_ms <= nowMs)) return undefined;
    const user = await this.#row(token.user);
    if (user === undefined || user.disabled !== 0) return undefined;
    if (token.used_ms === null || nowMs - token.used_ms >= usedEveryMs) {
      await this.#db.updateTable("tokens").set({ used_ms: nowMs }).where("id", "=", token.id).execute();
    }
    const roles = [UserRole.parse(user.role), ...(token.role === null ? [] : [UserRole.parse(token.role)])];
    const scope = narrowed(user.scope, token.scope);
    return { user: user.name, token: token.id, address, roles, scope, expiresMs: token.expires_ms ?? undefined };
  }

  /** Throws `user/exists`, `selector/invalid`, `request/invalid`. */
  async addUser({ name, role, scope }: CreateUser): Promise<UserView> {
    checkScope(role, scope);
    const row: UserRow = { name, role, scope, disabled: 0, created_ms: this.#clock.now() };
    const added = await this.#db
      .insertInto("users")
      .values(row)
      .onConflict((conflict) => conflict.column("name").doNothing())
      .executeTakeFirst();
    if (Number(added.numInsertedOrUpdatedRows ?? 0) === 0) {
      throw new MusterError("user/exists", `user ${name} is there already; change it: muster user set ${name}`);
    }
    return this.user(name);
  }

  /** Throws `user/unknown`, `user/last-admin`, `selector/invalid`. */
  changeUser(name: string, change: ChangeUser): Promise<UserView> {
    return this.#turns.take(() => this.#changeUser(name, change));
  }

  async #changeUser(name: string, change: ChangeUser): Promise<UserView> {
    const before = await this.user(name);
    const { role = before.role, scope = before.scope, disabled = before.disabled } = change;
    checkScope(role, scope);
    if (role !== "admin" || disabled) await this.#keepAnAdmin({ without: name });
    const set = { role, scope, disabled: disabled ? 1 : 0 };
    await this.#db.updateTable("users").set(set).where("name", "=", name).execute();
    // What the user could do before is no longer what the invitations say.
    await this.#db.deleteFrom("invites").where("issuer", "=", name).execute();
    return this.user(name);
  }

  /** Removes a user and its tokens. Throws `user/unknown`, `user/last-admin`. */
  removeUser(name: string): Promise<void> {
    return this.#turns.take(() => this.#removeUser(name));
  }

  async #removeUser(name: string): Promise<void> {
    await this.user(name);
    await this.#keepAnAdmin({ without: name });
    await this.#db.transaction().execute(async (tx) => {
      await tx.deleteFrom("tokens").where("user", "=", name).execute();
      await tx.deleteFrom("invites").where("issuer", "=", name).execute();
      await tx.deleteFrom("users").where("name", "=", name).execute();
    });
  }

  /** Throws `user/unknown`. */
  async user(name: string): Promise<UserView> {
    const row = await this.#row(name);
    if (row === undefined) throw new MusterError("user/unknown", `no user ${name}; see: muster user ls`);
    return userView(row, await this.#usableTokens());
  }

  async users(): Promise<UserView[]> {
    const usable = await this.#usableTokens();
    return (await this.#db.selectFrom("users").selectAll().orderBy("name").execute()).map((row) =>
      userView(row, usable),
    );
  }

  /** Makes a token; its secret is in the answer and nowhere else. Throws `user/unknown`, `request/invalid`. */
  async createToken({ user: name, label, role, scope, validMs }: CreateToken): Promise<CreatedToken> {
    const user = await this.user(name);
    checkScope(role ?? user.role, scope);
    if (role !== undefined && !isWithin(role, user.role)) {
      throw new MusterError("request/invalid", `role: ${name} is ${user.role}, a token of role ${role} would be more`);
    }
    // Hex, because it is given on command lines: it must not begin with a dash. The prefix lets scanners for leaked
    // secrets find it.
    const secret = `muster_${randomBytes(24).toString("hex")}`;
    const token = await this.#insert({ user: name, label, role, scope }, secret, this.#clock.now() + validMs);
    return { ...token, secret };
  }

  async tokens(): Promise<TokenView[]> {
    return (await this.#db.selectFrom("tokens").selectAll().orderBy("created_ms").execute()).map(tokenView);
  }

  /** Throws `token/unknown`. */
  async token(id: string): Promise<TokenView> {
    const row = await this.#db.selectFrom("tokens").selectAll().where("id", "=", id).executeTakeFirst();
    if (row === undefined) throw new MusterError("token/unknown", `no token ${id}; see: muster token ls`);
    return tokenView(row);
  }

  /** Ends a token at once. Throws `token/unknown`, `user/last-admin`. */
  revokeToken(id: string): Promise<void> {
    return this.#turns.take(async () => {
      await this.token(id);
      await this.#keepAnAdmin({ withoutToken: id });
      await this.#db.deleteFrom("tokens").where("id", "=", id).execute();
    });
  }

  /** Removes tokens that have been over for a month. */
  async forgetExpired(): Promise<void> {
    const beforeMs = this.#clock.now() - 30 * 86_400_000;
    await this.#db.deleteFrom("tokens").where("expires_ms", "<", beforeMs).execute();
  }

  /** Throws `user/last-admin` when nobody would be left who can let others in. */
  async #keepAnAdmin({ without, withoutToken }: { without?: string; withoutToken?: string }): Promise<void> {
    const admins = await this.#db
      .selectFrom("users")
      .innerJoin("tokens", "tokens.user", "users.name")
      .select(["users.name", "tokens.id", "tokens.role", "tokens.expires_ms"])
      .where("users.role", "=", "admin")
      .where("users.disabled", "=", 0)
      .execute();
    const nowMs = this.#clock.now();
    const left = admins.filter(
      ({ name, id, role, expires_ms }) =>
        name !== without && id !== withoutToken && (role ?? "admin") === "admin" && (expires_ms ?? nowMs + 1) > nowMs,
    );
    if (left.length > 0) return;
    const message = "no admin with a token would be left; make another one first: muster user add, muster token create";
    throw new MusterError("user/last-admin", message);
  }

  async #insert(
    given: { user: string; label: string; role?: UserRole | undefined; scope: string },
    secret: string,
    expiresMs: number | null,
  ): Promise<TokenView> {
    const createdMs = this.#clock.now();
    const row: TokenRow = {
      ...{ id: newId("t", createdMs), user: given.user, label: given.label, secret_hash: sha256(secret) },
      ...{ role: given.role ?? null, scope: given.scope },
      ...{ created_ms: createdMs, expires_ms: expiresMs, used_ms: null },
    };
    await this.#db.insertInto("tokens").values(row).execute();
    return tokenView(row);
  }

  async #usableTokens(): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    for (const { user, expires_ms } of await this.#db.selectFrom("tokens").select(["user", "expires_ms"]).execute()) {
      if (expires_ms === null || expires_ms > this.#clock.now()) counts.set(user, (counts.get(user) ?? 0) + 1);
    }
    return counts;
  }

  /** One after the other: two at once could each leave the other as the last admin. */
  #row(name: string): Promise<UserRow | undefined> {
    return this.#db.selectFrom("users").selectAll().where("name", "=", name).executeTakeFirst();
  }
}

/** Users and keys are of the whole fleet, so who rules over them cannot be bound to a part of it. */
function checkScope(role: string, scope: string): void {
  const terms = parseSelector(scope);
  if (role === "admin" && terms.length > 0) {
    throw new MusterError("request/invalid", "scope: an admin has the whole fleet; give another role or no scope");
  }
}

function userView({ name, role, scope, disabled, created_ms }: UserRow, usable: ReadonlyMap<string, number>): UserView {
  const tokens = disabled === 0 ? (usable.get(name) ?? 0) : 0;
  return { name, role: UserRole.parse(role), scope, disabled: disabled !== 0, createdMs: created_ms, tokens };
}

function tokenView({ id, user, label, role, scope, created_ms, expires_ms, used_ms }: TokenRow): TokenView {
  return {
    ...{ id, user, label, scope, createdMs: created_ms },
    ...(role === null ? {} : { role: UserRole.parse(role) }),
    ...(expires_ms === null ? {} : { expiresMs: expires_ms }),
    ...(used_ms === null ? {} : { usedMs: used_ms }),
  };
}
