import { randomBytes } from "node:crypto";
import { readIfThere, writeDurably } from "@muster/shared/node";
import { type Access, firstAdmin } from "./access.js";
import type { Audit } from "./audit.js";

/** Lets the first admin in, with a token in a file of mode 0600; again when the operator asks for a new one. Returns one that was made. */
export async function admitAdmin(
  access: Access,
  audit: Audit,
  path: string,
  again: boolean,
): Promise<string | undefined> {
  const first = await access.isNew();
  if (!first && !again) return undefined;
  const known = first ? await readIfThere(path) : undefined;
  const secret = known?.trim() ?? `muster_${randomBytes(24).toString("hex")}`;
  // The file first: a token that nobody can read would lock everybody out.
  await writeDurably(path, `${secret}\n`);
  await audit.change({ user: "hub" }, { action: "user.admit", subject: firstAdmin }, () => access.admit(secret));
  return secret;
}
