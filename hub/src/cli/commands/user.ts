import { ChangeUser, CreateUser, parseWith, UserList, UserView } from "@muster/shared";
import type { Command } from "@muster/shared/node";
import { withExamples } from "../help.js";
import { route } from "../route.js";
import type { Session } from "../session.js";
import { table } from "../table.js";
import { ago } from "../time.js";

const roleHelp = "viewer, operator, publisher or admin";
const scopeHelp = "only devices with these labels, for example site=lyon; empty for all";

/** `muster user …`: who may use the hub. */
export function userCommands(root: Command, session: Session): void {
  const group = root.command("user").description("add, list, change and remove users of the hub");
  withExamples(group, "muster user add ines --role operator --scope site=lyon", "muster user ls");
  addCommand(group, session);
  listCommand(group, session);
  setCommand(group, session);
  removeCommand(group, session);
}

function addCommand(group: Command, session: Session): void {
  const command = group
    .command("add")
    .description(
      "add a user: viewers read, operators also run devices and rollouts, publishers push models, admins do all",
    )
    .argument("<name>", "name of the person or program")
    .requiredOption("--role <role>", roleHelp)
    .option("--scope <selector>", scopeHelp)
    .action(async (name: string, { role, scope = "" }: { role: string; scope?: string }) => {
      const body = parseWith(CreateUser, { name, role, scope }, "usage/invalid", "the user");
      const api = await session.api();
      session.show(await api.post("/v1/users", UserView, body), (user) => {
        return `${userText(user)}\nLet them in with a token: muster token create ${user.name}`;
      });
    });
  withExamples(
    command,
    "muster user add ines --role operator --scope site=lyon",
    "muster user add ci --role publisher",
  );
}

function listCommand(group: Command, session: Session): void {
  const command = group
    .command("ls")
    .description("list users, their roles, scopes and tokens")
    .action(async () => {
      const api = await session.api();
      session.show(await api.get("/v1/users", UserList), ({ users }) =>
        table(
          [
            { title: "user", value: ({ name }) => name },
            { title: "role", value: ({ role, disabled }) => (disabled ? `${role} (disabled)` : role) },
            { title: "scope", value: ({ scope }) => (scope === "" ? "whole fleet" : scope) },
            { title: "tokens", value: ({ tokens }) => String(tokens), right: true },
            { title: "added", value: ({ createdMs }) => ago(createdMs, session.nowMs) },
          ],
          users,
          session.style,
        ),
      );
    });
  withExamples(command, "muster user ls", "muster user ls --json");
}

function setCommand(group: Command, session: Session): void {
  const command = group
    .command("set")
    .description("change role or scope of a user, or switch the user off and on; it counts at once")
    .argument("<name>", "name of the user")
    .option("--role <role>", roleHelp)
    .option("--scope <selector>", scopeHelp)
    .option("--disable", "the user's tokens open nothing from now on")
    .option("--enable", "they do again")
    .action(async (name: string, { role, scope, disable, enable }: SetFlags) => {
      const disabled = disable === true ? true : enable === true ? false : undefined;
      const given = Object.entries({ role, scope, disabled }).filter(([, value]) => value !== undefined);
      if (given.length === 0) command.error("error: nothing to change; give --role, --scope, --disable or --enable");
      const body = parseWith(ChangeUser, Object.fromEntries(given), "usage/invalid", "the change");
      const api = await session.api();
      session.show(await api.patch(route`/v1/users/${name}`, UserView, body), userText);
    });
  withExamples(command, "muster user set ines --scope site=nice", "muster user set ines --disable");
}

interface SetFlags {
  role?: string;
  scope?: string;
  disable?: boolean;
  enable?: boolean;
}

function removeCommand(group: Command, session: Session): void {
  const command = group
    .command("rm")
    .description("remove a user and all of its tokens")
    .argument("<name>", "name of the user")
    .action(async (name: string) => {
      const api = await session.api();
      await api.delete(route`/v1/users/${name}`);
      session.show({ value: name, raw: { removed: name } }, () => `${name} is removed; its tokens open nothing now`);
    });
  withExamples(command, "muster user rm ines");
}

function userText({ name, role, scope, disabled }: UserView): string {
  const where = scope === "" ? "for the whole fleet" : `for devices of ${scope}`;
  return `${name} is ${role} ${where}${disabled ? ", and disabled" : ""}`;
}
