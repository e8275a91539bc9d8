import { CreatedToken, CreateToken, parseWith, TokenList, type TokenView, Whoami } from "@muster/shared";
import { type Command, durationOption } from "@muster/shared/node";
import { withExamples } from "../help.js";
import { route } from "../route.js";
import type { Session } from "../session.js";
import { orDash, table } from "../table.js";
import { ago, lasting } from "../time.js";

/** `muster token …` and `muster whoami`: what lets users in. */
export function tokenCommands(root: Command, session: Session): void {
  const group = root.command("token").description("make, list and revoke API tokens");
  withExamples(group, "muster token create ines", "muster token ls");
  createCommand(group, session);
  listCommand(group, session);
  revokeCommand(group, session);
  whoamiCommand(root, session);
}

interface CreateFlags {
  label?: string;
  role?: string;
  scope?: string;
  valid?: number;
}

function createCommand(group: Command, session: Session): void {
  const command = group
    .command("create")
    .description("make a token that speaks for a user; its secret is shown only now")
    .argument("<user>", "name of the user")
    .option("--label <text>", "what it is for")
    .option("--role <role>", "let it do less than the user: viewer, operator or publisher")
    .option("--scope <selector>", "let it reach fewer devices than the user, for example line=3")
    .option("--valid <duration>", "how long, for example 8h or 365d (default: 90d)", durationOption)
    .action(async (user: string, { label, role, scope, valid }: CreateFlags) => {
      const given = Object.entries({ user, label, role, scope, validMs: valid }).filter(([, one]) => one !== undefined);
      const body = parseWith(CreateToken, Object.fromEntries(given), "usage/invalid", "the token");
      const api = await session.api();
      session.show(await api.post("/v1/tokens", CreatedToken, body), ({ secret, expiresMs }) => {
        const until = expiresMs === undefined ? "" : ` It is valid for ${lasting(expiresMs - session.nowMs)}.`;
        return `${session.style.bold(secret)}\n\nIt speaks for ${user} and is shown only now.${until}`;
      });
    });
  withExamples(
    command,
    "muster token create ines --label laptop",
    "muster token create ci --role publisher --valid 365d --json | jq -r .secret",
  );
}

function listCommand(group: Command, session: Session): void {
  const expiry = ({ expiresMs }: TokenView) => {
    if (expiresMs === undefined) return "never";
    return expiresMs <= session.nowMs ? "expired" : `in ${lasting(expiresMs - session.nowMs)}`;
  };
  const command = group
    .command("ls")
    .description("list tokens: whose they are, what they are for, when they expire and were used last")
    .action(async () => {
      const api = await session.api();
      session.show(await api.get("/v1/tokens", TokenList), ({ tokens }) =>
        table(
          [
            { title: "id", value: ({ id }) => id },
            { title: "user", value: ({ user }) => user },
            { title: "label", value: ({ label }) => orDash(label) },
            { title: "narrowed to", value: ({ role, scope }) => orDash([role, scope].filter(Boolean).join(" ")) },
            { title: "expires", value: expiry },
            { title: "used", value: ({ usedMs }) => ago(usedMs, session.nowMs) },
          ],
          tokens,
          session.style,
        ),
      );
    });
  withExamples(command, "muster token ls", "muster token ls --json");
}

function revokeCommand(group: Command, session: Session): void {
  const command = group
    .command("revoke")
    .description("end a token at once")
    .argument("<id>", "its id, as 'muster token ls' shows it")
    .action(async (id: string) => {
      const api = await session.api();
      await api.delete(route`/v1/tokens/${id}`);
      session.show({ value: id, raw: { revoked: id } }, () => `${id} opens nothing now`);
    });
  withExamples(command, "muster token revoke t-65f0c3a1d2e4b697");
}

function whoamiCommand(root: Command, session: Session): void {
  const command = root
    .command("whoami")
    .description("show for whom your token speaks, and what it may do")
    .action(async () => {
      const api = await session.api();
      session.show(await api.get("/v1/whoami", Whoami), ({ user, token, roles, scope, expiresMs }) => {
        const where = scope === "" ? "the whole fleet" : `devices of ${scope}`;
        const until = expiresMs === undefined ? "does not expire" : `expires in ${lasting(expiresMs - session.nowMs)}`;
        return `${user}: ${roles.join(" narrowed to ")} for ${where}; token ${token} ${until}`;
      });
    });
  withExamples(command, "muster whoami");
}
