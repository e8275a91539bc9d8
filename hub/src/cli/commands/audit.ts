import { AuditList, AuditQuery, AuditVerdict, parseWith } from "@muster/shared";
import { type Command, ExitWith, exitCodes, integerOption } from "@muster/shared/node";
import { withExamples } from "../help.js";
import type { Session } from "../session.js";
import { orDash, table } from "../table.js";
import { localTime } from "../time.js";

/** `muster audit …`: what was changed, by whom, and whether the log of it is whole. */
export function auditCommands(root: Command, session: Session): void {
  const group = root.command("audit").description("list the log of changes, and check that nobody altered it");
  withExamples(group, "muster audit ls", "muster audit verify");
  listCommand(group, session);
  verifyCommand(group, session);
}

function listCommand(group: Command, session: Session): void {
  const command = group
    .command("ls")
    .description("list changes, and attempts that were refused; the newest at the end")
    .option("--actor <name>", "only by this user, or device:NAME")
    .option("--action <action>", "only of this kind, for example rollout.start")
    .option("--after <seq>", "only entries after this number", integerOption)
    .option("--limit <n>", "at most so many (default: 100)", integerOption)
    .action(async (query: Partial<AuditQuery>) => {
      parseWith(AuditQuery, query, "usage/invalid", "the command line");
      const api = await session.api();
      session.show(await api.get("/v1/audit", AuditList, query), ({ entries }) =>
        table(
          [
            { title: "seq", value: ({ seq }) => String(seq), right: true },
            { title: "time", value: ({ atMs }) => localTime(atMs) },
            { title: "who", value: ({ actor }) => actor },
            { title: "from", value: ({ address }) => orDash(address ?? undefined) },
            { title: "action", value: ({ action }) => action },
            { title: "subject", value: ({ subject }) => orDash(subject) },
            {
              title: "outcome",
              value: ({ outcome }) => (outcome === "done" ? outcome : { text: outcome, paint: session.style.bad }),
            },
          ],
          entries,
          session.style,
        ),
      );
    });
  withExamples(command, "muster audit ls", "muster audit ls --actor ines --limit 20", "muster audit ls --json");
}

function verifyCommand(group: Command, session: Session): void {
  const command = group
    .command("verify")
    .description("walk the whole log: exit code 1 when an entry was changed, added or removed")
    .option("--head <hash>", "a head noted earlier; finds entries removed from the end too")
    .action(async ({ head }: { head?: string }) => {
      const api = await session.api();
      const answer = await api.get("/v1/audit/verify", AuditVerdict, { head });
      const { intact, entries, head: now, broken } = answer.value;
      session.show(answer, () =>
        intact
          ? `${session.style.good("whole")}: ${entries} entries, head ${now}\nNote the head elsewhere; check against it with --head.`
          : `${session.style.bad("BROKEN")} at entry ${broken?.seq}: ${broken?.reason}`,
      );
      if (!intact) throw new ExitWith(exitCodes.error);
    });
  withExamples(command, "muster audit verify", "muster audit verify --head 9f2c…");
}
