import { EngineList, formatBytes, parseWith, type SharedEngine, ShareEngine } from "@muster/shared";
import { type Command, ExitWith } from "@muster/shared/node";
import { SharingStopped, shareByHub, shareSigned } from "../engine-sharing.js";
import { classText, engineLists } from "../engine-view.js";
import { collected, withExamples } from "../help.js";
import { route } from "../route.js";
import type { Session } from "../session.js";
import { releaseKeys } from "../signed-push.js";

/** `muster engine …`: what execution providers built of models on devices, for others of the same class. */
export function engineCommands(root: Command, session: Session): void {
  const group = root
    .command("engine")
    .description("share engines that one device built (TensorRT) with all devices of the same kind");
  withExamples(group, "muster engine ls", "muster engine share defects 1.0.0 --from jetson-1");
  listCommand(group, session);
  shareCommand(group, session);
  removeCommand(group, session);
}

function listCommand(group: Command, session: Session): void {
  const command = group
    .command("ls")
    .description("list engines that are shared, and those that devices have built")
    .argument("[model]", "only of this model")
    .action(async (model?: string) => {
      const api = await session.api();
      session.show(await api.get("/v1/engines", EngineList, { model }), ({ shared, held }) =>
        shared.length + held.length === 0
          ? "No device holds an engine. TensorRT builds them on devices that run models with it."
          : engineLists(shared, held, session),
      );
    });
  withExamples(command, "muster engine ls", "muster engine ls defects --json");
}

interface ShareFlags {
  from: string;
  key?: string[];
}

function shareCommand(group: Command, session: Session): void {
  const command = group
    .command("share")
    .description(
      "fetch the engine that a device built of the version it runs, sign it, and give it to all devices of its class; share only from a device you trust",
    )
    .argument("<model>", "name of the model")
    .argument("<version>", "its version")
    .requiredOption("--from <device>", "the device that built it")
    .option(
      "--key <file>",
      "sign here with this release key instead of on the hub; may be given again (variable: MUSTER_RELEASE_KEY, the key itself)",
      collected,
    )
    .action(async (model: string, version: string, { from, key }: ShareFlags) => {
      const body = parseWith(ShareEngine, { model, version, device: from }, "usage/invalid", "the command line");
      const api = await session.api();
      const keys = await releaseKeys(key, session.io.env);
      const signal = session.io.interrupted();
      const sharing =
        keys.length === 0 ? shareByHub(api, body, session, signal) : shareSigned(api, body, keys, session, signal);
      const shared = await sharing.catch((error) => {
        if (!signal.aborted) throw error;
        const again = `muster engine share ${model} ${version} --from ${from}`;
        const text =
          error instanceof SharingStopped
            ? `The hub has stopped fetching; files that came whole are kept for a day. Go on: ${again}`
            : `The hub may go on fetching. See how far it is: ${again}`;
        throw new ExitWith(130, text);
      });
      session.show(shared, (engine) => sharedText(engine, from, session));
    });
  withExamples(
    command,
    "muster engine share defects 1.0.0 --from jetson-1",
    "muster engine share defects 1.0.0 --from jetson-1 --key release.key.pem",
  );
}

function removeCommand(group: Command, session: Session): void {
  const command = group
    .command("rm")
    .description("take a shared engine back, so that devices build their own; those that have it keep it")
    .argument("<id>", "its id, as muster engine ls shows it")
    .action(async (id: string) => {
      const api = await session.api();
      await api.delete(route`/v1/engines/${id}`);
      session.show({ value: id, raw: { removed: id } }, () => `${id} is not shared any more`);
    });
  withExamples(command, "muster engine rm e-65aa3c10d2f07b91");
}

function sharedText(
  { id, engineClass, hardware, files, sizeBytes }: SharedEngine,
  from: string,
  { style }: Session,
): string {
  const size = `${files.length} ${files.length === 1 ? "file" : "files"}, ${formatBytes(sizeBytes)}`;
  const whom = `Devices of class ${classText(engineClass, hardware)} take it before their next trial.`;
  return `${style.good("shared")} ${style.bold(id)} from ${from}: ${size}\n${whom}`;
}
