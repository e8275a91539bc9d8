import { EventList, EventQuery, LatencyReport, parseWith, TelemetryQuery } from "@muster/shared";
import { type Command, durationOption, ExitWith, integerOption } from "@muster/shared/node";
import { followEvents } from "../event-follow.js";
import { eventLine } from "../event-view.js";
import { withExamples } from "../help.js";
import { latencyTable } from "../latency-view.js";
import type { Session } from "../session.js";

/** `muster telemetry …`: what devices measured and what happened on them. */
export function telemetryCommands(root: Command, session: Session): void {
  const group = root.command("telemetry").description("latency, throughput and events of the fleet");
  withExamples(group, "muster telemetry latency --last 10min", "muster telemetry events --follow");
  latencyCommand(group, session);
  eventsCommand(group, session);
}

interface LatencyFlags {
  model?: string;
  modelVersion?: string;
  device?: string;
  selector?: string;
  last?: number;
  by?: string;
  stages?: boolean;
}

function latencyCommand(group: Command, session: Session): void {
  const command = group
    .command("latency")
    .description("show inputs, errors, throughput, latency percentiles and class counts")
    .option("--model <model>", "only this model")
    .option("--model-version <version>", "only this version")
    .option("--device <device>", "only this device")
    .option("--selector <selector>", "only devices with these labels, for example site=lyon,line!=3")
    .option("--last <duration>", "look back so far, for example 10min or 7d (default: 1h)", durationOption)
    .addOption(group.createOption("--by <row>", "one row for each (default: device)").choices(["device", "version"]))
    .option("--stages", "latency of every stage of an input, not only of the whole")
    .action(async ({ modelVersion, last, stages, ...flags }: LatencyFlags) => {
      const query = { ...flags, version: modelVersion, lastMs: last };
      parseWith(TelemetryQuery, query, "usage/invalid", "the command line");
      const api = await session.api();
      session.show(await api.get("/v1/telemetry/latency", LatencyReport, query), ({ rows }) =>
        rows.length === 0
          ? "No telemetry in this time. Look back further with --last, or see whether devices serve: muster device ls"
          : latencyTable(rows, stages === true, session.style),
      );
    });
  withExamples(
    command,
    "muster telemetry latency",
    "muster telemetry latency --model defects --by version --last 24h",
    "muster telemetry latency --device cam-1 --stages",
  );
}

interface EventFlags {
  device?: string;
  kind?: string;
  limit?: number;
  follow?: boolean;
}

function eventsCommand(group: Command, session: Session): void {
  const command = group
    .command("events")
    .description("show the newest events of devices and hub, oldest first")
    .option("--device <device>", "only events of this device")
    .option("--kind <kind>", "only events of this kind, for example rollout.halted")
    .option("--limit <n>", "how many, at most 1000 (default: 100)", integerOption)
    .option("--follow", "go on with events as they happen until Ctrl-C; with --json one event per line")
    .action(async ({ follow, ...query }: EventFlags) => {
      parseWith(EventQuery, query, "usage/invalid", "the command line");
      const api = await session.api();
      if (follow === true) {
        await followEvents(api, query, session);
        throw new ExitWith(130);
      }
      session.show(await api.get("/v1/telemetry/events", EventList, query), ({ events }) =>
        events.length === 0 ? "No events." : events.map((event) => eventLine(event, session.style)).join("\n"),
      );
    });
  withExamples(
    command,
    "muster telemetry events --limit 20",
    "muster telemetry events --device cam-1 --follow",
    "muster telemetry events --follow --json | jq .kind",
  );
}
