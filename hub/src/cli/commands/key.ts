import { join } from "node:path";
import {
  type DraftEnvelope,
  MusterError,
  PreparedKey,
  parseWith,
  Role,
  type RoleKeys,
  Root,
  roles,
  rootType,
  type SigningKey,
  seal,
  sha256,
  TrustView,
} from "@muster/shared";
import { type Command, durationOption, integerOption, writeDurably } from "@muster/shared/node";
import { withKey, withoutKey } from "../../core/next-root.js";
import { withExamples } from "../help.js";
import { readKeyFile, writeNewKey } from "../key-files.js";
import {
  currentRoot,
  issueRoot,
  pinnedRootFile,
  type RootFlags,
  readEnvelopeFile,
  submitRoot,
  trustText,
} from "../root-change.js";
import type { Session } from "../session.js";

/** `muster key …`: whose signatures devices accept. */
export function keyCommands(root: Command, session: Session): void {
  const group = root.command("key").description("make, list, rotate and export the keys that devices trust");
  withExamples(group, "muster key ls", "muster key init ./keys", "muster key rotate director --keys ./keys");
  initCommand(group, session);
  listCommand(group, session);
  rotateCommand(group, session);
  retireCommand(group, session);
  renewCommand(group, session);
  signCommand(group, session);
  submitCommand(group, session);
  exportCommand(group, session);
}

function initCommand(group: Command, session: Session): void {
  const command = group
    .command("init")
    .description(
      "make root and release keys outside of the hub, and have the fleet trust these instead of the hub's own",
    )
    .argument("<dir>", "a new folder for the private keys")
    .option("--root-keys <n>", "how many root keys (default: 1)", integerOption)
    .option("--threshold <n>", "how many of them have to sign a change (default: 1)", integerOption)
    .option("--life <duration>", "how long the root is valid (default: 365d)", durationOption)
    .option("--out <file>", "write the root to a file for others to sign, instead of handing it to the hub")
    .action(async (dir: string, { rootKeys = 1, threshold = 1, ...flags }: InitFlags) => {
      if (threshold < 1 || threshold > rootKeys) command.error("error: --threshold is 1 to the number of --root-keys");
      const before = await currentRoot(session, undefined);
      const rootRole = await newRootKeys(dir, rootKeys, threshold);
      const release = await writeNewKey(join(dir, "release.key.pem"));
      const changed = { root: rootRole.role, release: { keys: [release.public], threshold: 1 } };
      await pinRoot(dir, await issueRoot(session, before, changed, flags, rootRole.keys));
      session.note(
        [
          `The private keys are in ${dir}. Keep copies of the root keys in separate places off this machine, and the`,
          `release key where models are built: muster model push DIR --key ${join(dir, "release.key.pem")}`,
          "Versions that the hub's own key signed stay where they are; to bring them to more devices, push them again.",
        ].join("\n"),
      );
    });
  withExamples(command, "muster key init ./keys", "muster key init /media/usb/keys --root-keys 3 --threshold 2");
}

interface InitFlags extends Omit<RootFlags, "keys"> {
  rootKeys?: number;
  threshold?: number;
}

function listCommand(group: Command, session: Session): void {
  const command = group
    .command("ls")
    .description("list the keys devices trust, by role, and which of them lie on the hub")
    .action(async () => {
      const api = await session.api();
      session.show(await api.get("/v1/trust", TrustView), (view) => trustText(view, session));
    });
  withExamples(command, "muster key ls", "muster key ls --json");
}

function rotateCommand(group: Command, session: Session): void {
  const command = rootOptions(
    group
      .command("rotate")
      .description(
        "give a role a new key: director and release made on the hub, or with --new-in a folder outside of it",
      )
      .argument("<role>", "root, release or director")
      .option("--new-in <dir>", "folder for the new private key (root and release)")
      .option("--only", "release: stop trusting the keys before at once, as after a theft")
      .option("--root-keys <n>", "root: how many new keys (default: as many as now)", integerOption)
      .option("--threshold <n>", "root: how many have to sign (default: as many as now)", integerOption),
  ).action(async (name: string, flags: RotateFlags) => {
    const parsed = Role.safeParse(name);
    if (!parsed.success) return command.error(`error: '${name}' is no role; give root, release or director`);
    const before = await currentRoot(session, flags.keys);
    const { role, keys = [] } = await rotated(session, parsed.data, before, flags);
    const envelope = await issueRoot(session, before, { [parsed.data]: role }, flags, keys);
    if (parsed.data === "root" && flags.newIn !== undefined) await pinRoot(flags.newIn, envelope);
  });
  withExamples(
    command,
    "muster key rotate director --keys ./keys",
    "muster key rotate release --new-in ./keys --keys ./keys",
    "muster key rotate root --new-in ./new-keys --keys ./keys --out root.json",
  );
}

interface RotateFlags extends RootFlags {
  newIn?: string;
  only?: boolean;
  rootKeys?: number;
  threshold?: number;
}

/** The role with its new key, and the private keys that were made here for it. */
async function rotated(
  session: Session,
  role: Role,
  before: Root,
  { newIn, only = false, rootKeys, threshold }: RotateFlags,
): Promise<{ role: RoleKeys; keys?: SigningKey[] }> {
  const now = before.roles[role];
  if (role === "root" && newIn !== undefined) {
    return newRootKeys(newIn, rootKeys ?? now.keys.length, threshold ?? now.threshold);
  }
  if (role === "release" && newIn !== undefined) {
    const key = await writeNewKey(join(newIn, `release-${session.nowMs}.key.pem`));
    return { role: withKey(now, key.public, only) };
  }
  const hubHasIt = (await (await session.api()).get("/v1/trust", TrustView)).value.roles[role].keys.some(
    ({ onHub }) => onHub,
  );
  if (!hubHasIt && role !== "director") {
    const message = `the ${role} key does not lie on the hub, and is not to come back there; make the new one outside: --new-in DIR`;
    throw new MusterError("usage/invalid", message);
  }
  // The hub signs with one director key, and uses its newest; the one before would only be one more to steal.
  const { value } = await (await session.api()).post("/v1/trust/keys", PreparedKey, { role });
  return { role: withKey(now, value, only || role !== "release") };
}

function retireCommand(group: Command, session: Session): void {
  const command = rootOptions(
    group
      .command("retire")
      .description("stop trusting a key; versions that only it signed can be installed no longer")
      .argument("<keyid>", "the key, or how its id begins"),
  ).action(async (keyid: string, flags: RootFlags) => {
    const before = await currentRoot(session, flags.keys);
    const found = Role.options.flatMap((role) =>
      before.roles[role].keys.filter((key) => key.keyid.startsWith(keyid)).map((key) => ({ role, keyid: key.keyid })),
    );
    const [key] = found;
    if (key === undefined || found.length > 1) {
      throw new MusterError("usage/invalid", `'${keyid}' names ${found.length} trusted keys; see: muster key ls`);
    }
    const role = withoutKey(before.roles[key.role], key.keyid);
    if (role === undefined) {
      throw new MusterError(
        "usage/invalid",
        `fewer ${key.role} keys would be left than have to sign; first: muster key rotate ${key.role}`,
      );
    }
    await issueRoot(session, before, { [key.role]: role }, flags);
  });
  withExamples(command, "muster key retire 3f1c2a --keys ./keys");
}

function renewCommand(group: Command, session: Session): void {
  const command = rootOptions(
    group.command("renew").description("issue the root again with the same keys and a later expiry"),
  ).action(async (flags: RootFlags) => {
    await issueRoot(session, await currentRoot(session, flags.keys), {}, flags);
  });
  withExamples(command, "muster key renew --keys ./keys --life 730d");
}

function signCommand(group: Command, session: Session): void {
  const command = group
    .command("sign")
    .description("show what a root in a file would change whom devices trust, and add a signature to it; needs no hub")
    .argument("<file>", "the root")
    .requiredOption("--digest <hex>", "its digest, as whoever made it told you by another way; 16 digits are enough")
    .requiredOption("--key <file>", "the private root key")
    .action(async (file: string, { key, digest }: { key: string; digest: string }) => {
      const envelope = await readEnvelopeFile(file);
      const payload = Buffer.from(envelope.payload, "base64");
      session.note(rootSummary(payload));
      if (!/^[0-9a-f]{16,64}$/.test(digest) || !sha256(payload).startsWith(digest)) {
        throw new MusterError(
          "usage/invalid",
          `not signed: the digest of ${file} is ${sha256(payload)}, not ${digest}`,
        );
      }
      const signer = await readKeyFile(key);
      const { signatures } = seal(rootType, payload, [signer]);
      const others = envelope.signatures.filter(({ keyid }) => keyid !== signer.public.keyid);
      const signed = { ...envelope, signatures: [...others, ...signatures] };
      await writeDurably(file, `${JSON.stringify(signed, undefined, 1)}\n`, 0o644);
      session.note(`${file} has ${signed.signatures.length} signature(s).`);
    });
  withExamples(command, "muster key sign root.json --digest 3f1c2a9b8d7e6f50 --key /media/usb/root-2.key.pem");
}

function submitCommand(group: Command, session: Session): void {
  const command = group
    .command("submit")
    .description("hand a signed root to the hub, which brings it to every device")
    .argument("<file>", "the root")
    .action(async (file: string) => submitRoot(session, await readEnvelopeFile(file)));
  withExamples(command, "muster key submit root.json");
}

function exportCommand(group: Command, session: Session): void {
  const command = group
    .command("export")
    .description("print the root in force (public keys only), for 'muster-agent join --root'")
    .option("--out <file>", "write it to a file")
    .action(async ({ out }: { out?: string }) => {
      const { value } = await (await session.api()).get("/v1/trust", TrustView);
      const text = JSON.stringify(value.chain.at(-1), undefined, 1);
      if (out === undefined) session.print(text);
      else await writeDurably(out, `${text}\n`, 0o644);
    });
  withExamples(command, "muster key export --out root.json");
}

/** Keeps the root beside the keys that it names, for the next time. */
async function pinRoot(folder: string, envelope: DraftEnvelope): Promise<void> {
  await writeDurably(join(folder, pinnedRootFile), `${JSON.stringify(envelope, undefined, 1)}\n`, 0o644);
}

/** What a root says, for who is to sign it. */
function rootSummary(payload: Buffer): string {
  const {
    version,
    expiresMs,
    roles: all,
  } = parseWith(Root, JSON.parse(payload.toString("utf8")), "usage/invalid", "the root");
  const lines = roles.map((role) => {
    const keys = all[role].keys.map(({ keyid }) => keyid.slice(0, 16)).join(", ");
    return `  ${role.padEnd(9)} ${all[role].threshold} of: ${keys}`;
  });
  return [`root ${version}, valid until ${new Date(expiresMs).toISOString()}`, ...lines].join("\n");
}

async function newRootKeys(
  dir: string,
  count: number,
  threshold: number,
): Promise<{ role: RoleKeys; keys: SigningKey[] }> {
  const keys: SigningKey[] = [];
  for (let number = 1; number <= count; number += 1) keys.push(await writeNewKey(join(dir, `root-${number}.key.pem`)));
  return { role: { keys: keys.map((key) => key.public), threshold }, keys };
}

function rootOptions(command: Command): Command {
  return command
    .option("--keys <dir>", "folder with the private root keys; those on the hub sign in any case")
    .option("--life <duration>", "how long the root is valid (default: 365d)", durationOption)
    .option("--out <file>", "write the root to a file for others to sign, instead of handing it to the hub");
}
