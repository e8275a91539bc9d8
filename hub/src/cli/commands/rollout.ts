import { type ExplainQuery, Rollout, type RolloutAction, RolloutExplanation, RolloutPlan } from "@muster/shared";
import { type Command, durationOption, integerOption } from "@muster/shared/node";
import { counted } from "../counted.js";
import { explanationText } from "../explain-view.js";
import { withExamples } from "../help.js";
import { listRollouts } from "../rollout-list.js";
import { type RolloutFlags, rolloutOptions, startRollout } from "../rollout-options.js";
import { planText, rolloutTable, rolloutText } from "../rollout-view.js";
import { watchRollout } from "../rollout-watch.js";
import { route } from "../route.js";
import type { Session } from "../session.js";

const exitText = "exit code 0 when it completed, 3 when it did not pass, 4 when the time is over first";

/** `muster rollout …`: bring a version to devices, wave by wave. */
export function rolloutCommands(root: Command, session: Session): void {
  const group = root.command("rollout").description("plan, start, follow, pause and halt rollouts");
  withExamples(
    group,
    "muster rollout plan defects 1.0.0",
    "muster rollout start defects 1.0.0 --watch",
    "muster rollout ls",
  );
  planCommand(group, session);
  startCommand(group, session);
  listCommand(group, session);
  showCommand(group, session);
  explainCommand(group, session);
  watchCommand(group, session);
  actionCommand(group, session, "pause", "start no further wave until it is resumed; devices that began go on");
  actionCommand(group, session, "resume", "go on with a paused rollout");
  actionCommand(group, session, "halt", "stop a rollout for good and take the version back from its devices");
}

function planCommand(group: Command, session: Session): void {
  const command = rolloutOptions(group.command("plan"))
    .description("show who would get the version in which wave, and who would not and why; changes nothing")
    .action(async (model: string, version: string, flags: RolloutFlags) => {
      const body = startRollout(model, version, flags);
      const api = await session.api();
      const answer = await api.post("/v1/rollouts/plan", RolloutPlan, body);
      session.show(answer, (plan) => planText(plan, session.style));
    });
  withExamples(
    command,
    "muster rollout plan defects 1.0.0",
    "muster rollout plan defects 1.0.0 --selector 'site=lyon,line!=3' --waves 1,10%,100%",
  );
}

function startCommand(group: Command, session: Session): void {
  const command = rolloutOptions(group.command("start"))
    .description("bring a version to devices, wave by wave, each only when the one before it is healthy")
    .option("--watch", `follow it until it ends; ${exitText}`)
    .option("--watch-timeout <duration>", "follow it no longer than this", durationOption)
    .action(
      async (model: string, version: string, flags: RolloutFlags & { watch?: boolean; watchTimeout?: number }) => {
        const body = startRollout(model, version, flags);
        const api = await session.api();
        const answer = await api.post("/v1/rollouts", Rollout, body);
        const { id, waves } = answer.value;
        if (flags.watch === true || flags.watchTimeout !== undefined) {
          session.note(`rollout ${id} of ${model} ${version} has started`);
          return watchRollout(api, id, session, flags.watchTimeout);
        }
        const devices = waves.reduce((sum, wave) => sum + wave.devices.length, 0);
        const started = `started ${session.style.bold(id)}: ${model} ${version} to ${counted(devices, "device")} in ${counted(waves.length, "wave")}`;
        session.show(answer, () => `${started}\nFollow it: muster rollout watch ${id}`);
      },
    );
  withExamples(
    command,
    "muster rollout start defects 1.0.0",
    "muster rollout start defects 1.0.0 --selector site=lyon --waves 1,50%,100% --soak 10min --watch",
    "muster rollout start defects 1.0.0 --error 0 --watch --watch-timeout 2h",
  );
}

function listCommand(group: Command, session: Session): void {
  const command = group
    .command("ls")
    .description("list rollouts, the newest first")
    .option("--limit <n>", "at most so many (default: 50)", integerOption)
    .action(async ({ limit = 50 }: { limit?: number }) => {
      const answer = await listRollouts(await session.api(), limit);
      const { rollouts, next } = answer.value;
      session.show(answer, () =>
        rollouts.length === 0
          ? "No rollout has been started yet: muster rollout start MODEL VERSION"
          : rolloutTable(rollouts, session),
      );
      if (next !== undefined) session.note(`there are older ones: --limit ${10 * limit}`);
    });
  withExamples(command, "muster rollout ls", "muster rollout ls --limit 1000 --json");
}

function showCommand(group: Command, session: Session): void {
  const command = group
    .command("show")
    .description("show why a rollout is where it is, its waves, and the state and error of every device")
    .argument("<rollout>", "id of the rollout")
    .action(async (id: string) => {
      const api = await session.api();
      session.show(await api.get(route`/v1/rollouts/${id}`, Rollout), (rollout) => rolloutText(rollout, session));
    });
  withExamples(command, "muster rollout show r-68b5a1c09f3e2d10");
}

function explainCommand(group: Command, session: Session): void {
  const command = group
    .command("explain")
    .description("explain why a rollout does not go on: its gates, the devices it waits for, and what happens next")
    .argument("<rollout>", "id of the rollout")
    .option("--device <device>", "explain this device, whatever its state")
    .option("--limit <devices>", "how many devices to explain", integerOption, 20)
    .action(async (id: string, query: ExplainQuery) => {
      const api = await session.api();
      const answer = await api.get(route`/v1/rollouts/${id}/explain`, RolloutExplanation, query);
      session.show(answer, (explanation) => explanationText(explanation, session));
    });
  withExamples(
    command,
    "muster rollout explain r-68b5a1c09f3e2d10",
    "muster rollout explain r-68b5a1c09f3e2d10 --device cam-7 --json",
  );
}

function watchCommand(group: Command, session: Session): void {
  const command = group
    .command("watch")
    .description(`follow a rollout until it ends, also while it is paused; ${exitText}`)
    .argument("<rollout>", "id of the rollout")
    .option("--timeout <duration>", "follow it no longer than this (default: until it ends)", durationOption)
    .action(async (id: string, { timeout }: { timeout?: number }) => {
      await watchRollout(await session.api(), id, session, timeout);
    });
  withExamples(
    command,
    "muster rollout watch r-68b5a1c09f3e2d10",
    "muster rollout watch r-68b5a1c09f3e2d10 --timeout 30min",
  );
}

function actionCommand(group: Command, session: Session, action: RolloutAction, description: string): void {
  const command = group
    .command(action)
    .description(description)
    .argument("<rollout>", "id of the rollout")
    .action(async (id: string) => {
      const api = await session.api();
      const answer = await api.post(route`/v1/rollouts/${id}/${action}`, Rollout, {});
      session.show(
        answer,
        ({ state, reason }) => `rollout ${id} is ${state}${reason === undefined ? "" : `: ${reason}`}`,
      );
    });
  withExamples(command, `muster rollout ${action} r-68b5a1c09f3e2d10`);
}
