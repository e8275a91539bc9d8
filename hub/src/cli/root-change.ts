import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  DraftEnvelope,
  followRoots,
  MusterError,
  messageOf,
  openRoot,
  parseWith,
  type Role,
  type RoleKeys,
  type Root,
  roles,
  rootType,
  type SigningKey,
  seal,
  sha256,
  TrustView,
} from "@muster/shared";
import { writeDurably } from "@muster/shared/node";
import { nextRoot, rootLifeMs } from "../core/next-root.js";
import { readKeyFolder } from "./key-files.js";
import type { Session } from "./session.js";

/** Options of every command that issues a root. */
export interface RootFlags {
  /** Folder with the private root keys; without it only those on the hub sign. */
  readonly keys?: string;
  /** Write the root to this file for others to sign, instead of handing it to the hub. */
  readonly out?: string;
  /** How long the root is valid, in milliseconds. */
  readonly life?: number;
}

/** The name of the file beside private root keys that holds a root they were made for, or have seen since. */
export const pinnedRootFile = "root.json";

/**
 * The root in force on the hub. With a folder of root keys it has to follow from the root that lies beside them: these
 * keys must not be made to sign for a hub that tells of another chain. Throws `signature/invalid`, `usage/invalid`.
 */
export async function currentRoot(session: Session, keys: string | undefined): Promise<Root> {
  const { value } = await (await session.api()).get("/v1/trust", TrustView);
  const newest = openRoot(value.chain.at(-1));
  if (keys === undefined) return newest;
  const path = join(keys, pinnedRootFile);
  const pinned = await readEnvelopeFile(path).catch((cause) => {
    const how = `compare 'muster key ls' with the other holders of keys, then: muster key export --out ${path}`;
    throw new MusterError("usage/invalid", `there is no root beside the keys to hold the hub's against; ${how}`, {
      cause,
    });
  });
  const followed = followRoots(openRoot(pinned), value.chain);
  if (JSON.stringify(followed) === JSON.stringify(newest)) return newest;
  throw new MusterError(
    "signature/invalid",
    `the hub's root ${newest.version} does not follow from that in ${path}; sign nothing`,
  );
}

/**
 * Issues the root that follows with the roles that change, signed with all keys at hand; hands it to the hub, or
 * writes it to a file. `made` are keys that were made for it just now.
 */
export async function issueRoot(
  session: Session,
  before: Root,
  changed: Partial<Record<Role, RoleKeys>>,
  { keys, out, life }: RootFlags,
  made: readonly SigningKey[] = [],
): Promise<DraftEnvelope> {
  const root = nextRoot(before, changed, { nowMs: session.nowMs, lifeMs: life ?? rootLifeMs });
  const known = new Set([...before.roles.root.keys, ...root.roles.root.keys].map(({ keyid }) => keyid));
  const atHand = [...made, ...(keys === undefined ? [] : await readKeyFolder(keys))];
  const signers = new Map(atHand.filter((key) => known.has(key.public.keyid)).map((key) => [key.public.keyid, key]));
  const payload = Buffer.from(JSON.stringify(root));
  const envelope = seal(rootType, payload, [...signers.values()]);
  if (out === undefined) {
    await submitRoot(session, envelope);
    return envelope;
  }
  await writeDurably(out, `${JSON.stringify(envelope, undefined, 1)}\n`, 0o644);
  session.note(`Root ${root.version} is in ${out} with ${signers.size} signature(s).`);
  session.note(`Tell those who sign its digest by another way: ${sha256(payload)}`);
  session.note(
    `They run: muster key sign ${out} --digest DIGEST --key FILE. Then hand it in: muster key submit ${out}`,
  );
  return envelope;
}

/** Hands a root to the hub and shows what is trusted then. */
export async function submitRoot(session: Session, envelope: DraftEnvelope): Promise<void> {
  const api = await session.api();
  session.show(await api.post("/v1/trust/roots", TrustView, { envelope }), (view) => trustText(view, session));
}

/** An envelope out of a file. Throws `usage/invalid`. */
export async function readEnvelopeFile(path: string): Promise<DraftEnvelope> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new MusterError("usage/invalid", `cannot read a root from ${path}: ${messageOf(cause)}`, { cause });
  }
  return parseWith(DraftEnvelope, value, "usage/invalid", path);
}

/** Whom the fleet trusts, a line per key. */
export function trustText({ version, expiresMs, roles: all }: TrustView, { style, nowMs }: Session): string {
  const days = Math.floor((expiresMs - nowMs) / 86_400_000);
  const lines = roles.flatMap((role) => {
    const { keys, threshold } = all[role];
    const head = `${style.bold(role.padEnd(9))} ${threshold} of ${keys.length} has to sign`;
    return [
      head,
      ...keys.map(
        ({ keyid, onHub }) => `  ${keyid.slice(0, 16)}  ${onHub ? "private key on the hub" : "not on the hub"}`,
      ),
    ];
  });
  const exposed = all.root.keys.some(({ onHub }) => onHub);
  const hint =
    "The root key lies on the hub: who steals the hub can change whom devices trust. Take it off: muster key init DIR";
  return [`root ${version}, valid for ${days} days`, ...lines, ...(exposed ? ["", hint] : [])].join("\n");
}
