import { z } from "zod";
import { Digest } from "../ids.js";

/** What a person or program may do; see the table in the hub's permission rules. */
export const UserRole = z.enum(["viewer", "operator", "publisher", "admin"]);
export type UserRole = z.infer<typeof UserRole>;

/** The name of a user: a person, or a program such as `ci`. */
export const UserName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._@-]{0,63}$/, "must be 1 to 64 of a-z 0-9 . _ @ - and begin with a letter or digit");

/** A label selector; empty for the whole fleet. */
const Scope = z.string().max(1000);

export const CreateUser = z.strictObject({
  name: UserName,
  role: UserRole,
  /** Only devices with these labels; empty for all. */
  scope: Scope.default(""),
});
export type CreateUser = z.infer<typeof CreateUser>;

export const ChangeUser = z.strictObject({
  role: UserRole.optional(),
  scope: Scope.optional(),
  /** A disabled user's tokens open nothing. */
  disabled: z.boolean().optional(),
});
export type ChangeUser = z.infer<typeof ChangeUser>;

export const UserView = z.object({
  name: UserName,
  role: UserRole,
  scope: z.string(),
  disabled: z.boolean(),
  createdMs: z.int(),
  /** Tokens that open something now. */
  tokens: z.int(),
});
export type UserView = z.infer<typeof UserView>;
export const UserList = z.object({ users: z.array(UserView) });
export type UserList = z.infer<typeof UserList>;

export const CreateToken = z.strictObject({
  user: UserName,
  /** What it is for. */
  label: z.string().max(100).default(""),
  /** Narrows what the user may do. */
  role: UserRole.optional(),
  /** Narrows the user's scope. */
  scope: Scope.default(""),
  validMs: z
    .int()
    .min(1000)
    .max(366 * 86_400_000)
    .default(90 * 86_400_000),
});
export type CreateToken = z.infer<typeof CreateToken>;

export const TokenView = z.object({
  id: z.string(),
  user: UserName,
  label: z.string(),
  role: UserRole.optional(),
  scope: z.string(),
  createdMs: z.int(),
  /** Absent for the one of the first start, which lasts until it is revoked. */
  expiresMs: z.int().optional(),
  /** When it was used last, to the minute. */
  usedMs: z.int().optional(),
});
export type TokenView = z.infer<typeof TokenView>;
export const TokenList = z.object({ tokens: z.array(TokenView) });
export type TokenList = z.infer<typeof TokenList>;

/** A new token with its secret, which is shown only now. */
export const CreatedToken = TokenView.extend({ secret: z.string() });
export type CreatedToken = z.infer<typeof CreatedToken>;

/** Who speaks, and what that allows. */
export const Whoami = z.object({
  user: z.string(),
  token: z.string(),
  /** Both have to allow an action when there are two: the user's, and the narrower one of the token. */
  roles: z.array(UserRole),
  scope: z.string(),
  expiresMs: z.int().optional(),
});
export type Whoami = z.infer<typeof Whoami>;

/** One change, or one that was refused, chained to the entry before. */
export const AuditEntry = z.object({
  seq: z.int().min(1),
  atMs: z.int(),
  /** A user, `device:NAME`, or `hub`. */
  actor: z.string(),
  token: z.string().nullable(),
  address: z.string().nullable(),
  action: z.string(),
  subject: z.string(),
  outcome: z.enum(["done", "refused"]),
  /** SHA-256 of what the subject was and is, as JSON; null where there was or is none. */
  before: Digest.nullable(),
  after: Digest.nullable(),
  /** The hash of the entry before; zeros for the first. */
  previous: Digest,
  hash: Digest,
});
export type AuditEntry = z.infer<typeof AuditEntry>;

export const AuditQuery = z.strictObject({
  actor: z.string().max(100).optional(),
  action: z.string().max(100).optional(),
  /** Only entries with a higher number, oldest first. Without it the newest are given, oldest first. */
  after: z.coerce.number().int().min(0).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});
export type AuditQuery = z.infer<typeof AuditQuery>;
export const AuditList = z.object({ entries: z.array(AuditEntry) });
export type AuditList = z.infer<typeof AuditList>;

/** What walking the whole chain found. */
export const AuditVerdict = z.object({
  intact: z.boolean(),
  entries: z.int(),
  /** The hash of the newest entry: note it elsewhere, and a log that was cut short cannot pass for whole. */
  head: Digest,
  /** The first entry that does not fit, and why. */
  broken: z.object({ seq: z.int(), reason: z.string() }).optional(),
});
export type AuditVerdict = z.infer<typeof AuditVerdict>;
