import { ChangeLabels, CreateInvite, Device, DeviceList, Invite, parseWith, RevokeCertificates } from "@muster/shared";
import { type Command, durationOption, integerOption, labelsOption } from "@muster/shared/node";
import { deviceTable, deviceText } from "../device-view.js";
import { withExamples } from "../help.js";
import { route } from "../route.js";
import type { Session } from "../session.js";
import { lasting, localTime } from "../time.js";

/** `muster device …`: who belongs to the fleet. */
export function deviceCommands(root: Command, session: Session): void {
  const group = root.command("device").description("invite, list, label and remove devices");
  withExamples(group, "muster device invite", "muster device ls --selector site=lyon", "muster device show cam-1");
  inviteCommand(group, session);
  listCommand(group, session);
  showCommand(group, session);
  labelCommand(group, session);
  revokeCommand(group, session);
  removeCommand(group, session);
}

interface InviteFlags {
  device?: string;
  label?: Record<string, string>;
  again?: boolean;
  uses?: number;
  valid?: number;
}

function inviteCommand(group: Command, session: Session): void {
  const command = group
    .command("invite")
    .description("make a join token and print the line to paste on the device")
    .option("--device <id>", "only a device of this name may use it")
    .option("--again", "let the device, which has joined before, join again; it keeps its labels and history")
    .option("--label <labels>", "labels the device gets when it joins, for example site=lyon,line=3", labelsOption)
    .option("--uses <n>", "how many devices may join with it (default: 1)", integerOption)
    .option(
      "--valid <duration>",
      "how long it can be used, for example 30min, 24h or 7d (default: 24h)",
      durationOption,
    )
    .action(async ({ device, again, label, uses, valid }: InviteFlags) => {
      const body = given({ device, again, labels: label, uses, validMs: valid });
      parseWith(CreateInvite, body, "usage/invalid", "the invitation");
      const api = await session.api();
      session.show(await api.post("/v1/invites", Invite, body), ({ command: line, expiresMs }) => {
        const times = (uses ?? 1) === 1 ? "once" : `${uses} times`;
        const until = `${localTime(expiresMs)} (${lasting(expiresMs - session.nowMs)} from now)`;
        return `Run this on the device:\n\n  ${session.style.bold(line)}\n\nIt works ${times}, until ${until}, and is shown only now.`;
      });
    });
  withExamples(
    command,
    "muster device invite",
    "muster device invite --device cam-1 --label site=lyon,line=3",
    "muster device invite --device cam-1 --again",
    "muster device invite --uses 50 --valid 7d --label site=lyon",
  );
}

function listCommand(group: Command, session: Session): void {
  const command = group
    .command("ls")
    .description("list devices: whether they are online, what they serve and where it runs")
    .option("--selector <selector>", "only devices with these labels, for example site=lyon,line!=3")
    .action(async ({ selector }: { selector?: string }) => {
      const api = await session.api();
      session.show(await api.get("/v1/devices", DeviceList, { selector }), ({ devices }) => {
        if (devices.length > 0) return deviceTable(devices, session);
        if (selector !== undefined) return `No device has these labels: ${selector}`;
        return "No device has joined yet. Invite one: muster device invite";
      });
    });
  withExamples(
    command,
    "muster device ls",
    "muster device ls --selector 'site=lyon,line!=3'",
    "muster device ls --json",
  );
}

function showCommand(group: Command, session: Session): void {
  const command = group
    .command("show")
    .description("show all that is known of a device: hardware, models, candidates, last attempts and their errors")
    .argument("<device>", "name of the device")
    .action(async (device: string) => {
      const api = await session.api();
      session.show(await api.get(route`/v1/devices/${device}`, Device), (shown) => deviceText(shown, session));
    });
  withExamples(command, "muster device show cam-1");
}

function labelCommand(group: Command, session: Session): void {
  const command = group
    .command("label")
    .description("set and remove labels of a device")
    .argument("<device>", "name of the device")
    .argument("[labels...]", "labels to set, for example site=lyon line=3")
    .option("--remove <keys>", "labels to remove, separated by commas")
    .action(async (device: string, labels: string[], { remove }: { remove?: string }) => {
      const keys = (remove ?? "").split(",").filter((key) => key !== "");
      const set = labels.reduce<Record<string, string>>((all, text) => labelsOption(text, all), {});
      if (keys.length === 0 && labels.length === 0) {
        command.error("error: nothing to change; give key=value or --remove key");
      }
      const body = parseWith(ChangeLabels, { set, remove: keys }, "usage/invalid", "the labels");
      const api = await session.api();
      session.show(await api.patch(route`/v1/devices/${device}/labels`, Device, body), ({ id, labels: now }) => {
        const list = Object.entries(now).map(([key, value]) => `${key}=${value}`);
        return list.length === 0 ? `${id} has no labels now` : `${id} now has ${list.join(", ")}`;
      });
    });
  withExamples(command, "muster device label cam-1 site=lyon line=3", "muster device label cam-1 --remove line");
}

function revokeCommand(group: Command, session: Session): void {
  const command = group
    .command("revoke")
    .description("refuse the certificates of a device from now on; it stays in the fleet, and can be invited again")
    .argument("<device>", "name of the device")
    .option("--serial <hex>", "only the certificate of this serial number")
    .option("--reason <text>", "why, for the log and whoever looks at the device")
    .action(async (device: string, { serial, reason }: { serial?: string; reason?: string }) => {
      const body = given({ serial, reason });
      parseWith(RevokeCertificates, body, "usage/invalid", "the revocation");
      const api = await session.api();
      const shown = await api.post(route`/v1/devices/${device}/revoke`, Device, body);
      session.show(shown, ({ id, certificates = [] }) => {
        const good = certificates.filter(({ revokedMs }) => revokedMs === undefined || revokedMs > session.nowMs);
        if (good.length > 0) return `revoked; ${id} still has ${good.map((each) => each.serial).join(", ")}`;
        return `${id} cannot connect any more; to let it back in: muster device invite --device ${id} --again`;
      });
    });
  withExamples(command, "muster device revoke cam-1 --reason stolen", "muster device revoke cam-1 --serial 5f0a…");
}

function removeCommand(group: Command, session: Session): void {
  const command = group
    .command("rm")
    .description("forget a device and what it measured; its certificate no longer opens anything")
    .argument("<device>", "name of the device")
    .action(async (device: string) => {
      const api = await session.api();
      await api.delete(route`/v1/devices/${device}`);
      session.show(
        { value: device, raw: { removed: device } },
        () => `${device} is removed; it can join again with a new invitation`,
      );
    });
  withExamples(command, "muster device rm cam-1");
}

/** The record without its undefined values, which the API does not take. */
function given(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}
