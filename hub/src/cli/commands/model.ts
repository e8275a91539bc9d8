import {
  formatBytes,
  PushedVersion,
  type PushVersion,
  parseWith,
  Republish,
  VersionList,
  VersionView,
} from "@muster/shared";
import type { Command } from "@muster/shared/node";
import { readBundle } from "../bundle-files.js";
import { collected, withExamples } from "../help.js";
import { versionTable, versionText } from "../model-view.js";
import { untilPrepared } from "../preparing.js";
import { route } from "../route.js";
import type { Session } from "../session.js";
import { pushSigned, releaseKeys, republishSigned } from "../signed-push.js";
import { sendFiles } from "../uploads.js";

/** `muster model …`: the models the hub holds. */
export function modelCommands(root: Command, session: Session): void {
  const group = root.command("model").description("push, list and show models");
  withExamples(group, "muster model push ./defects", "muster model ls", "muster model show defects 1.0.0");
  pushCommand(group, session);
  republishCommand(group, session);
  listCommand(group, session);
  showCommand(group, session);
  removeCommand(group, session);
}

interface PushFlags {
  selfTest: boolean;
  wait: boolean;
  encrypt?: boolean;
  key?: string[];
}

function pushCommand(group: Command, session: Session): void {
  const command = group
    .command("push")
    .description("push a bundle: check muster.yaml, send the files the hub does not have, and sign a new version")
    .argument("<dir>", "folder with muster.yaml")
    .option("--no-self-test", "do not run the self-test on the hub; devices run it in any case")
    .option("--no-wait", "do not wait until the hub has made it small for the link; it goes on doing so")
    .option("--encrypt", "encrypt the models; only devices that are to run them get the keys")
    .option(
      "--key <file>",
      "sign here with this release key instead of on the hub; may be given again (variable: MUSTER_RELEASE_KEY, the key itself)",
      collected,
    )
    .action(async (dir: string, { selfTest, wait, encrypt = false, key }: PushFlags) => {
      const bundle = await readBundle(dir);
      const api = await session.api();
      const sent = await sendFiles(api, bundle.files, session);
      session.note(sentText(sent, bundle.files.length));
      const files = Object.fromEntries(bundle.files.map(({ path, digest }) => [path, digest]));
      const body: PushVersion = { bundle: bundle.text, files, selfTest, encrypt };
      const keys = await releaseKeys(key, session.io.env);
      const pushed =
        keys.length === 0 ? await api.post("/v1/models", PushedVersion, body) : await pushSigned(api, body, keys);
      if (wait) await untilPrepared(api, pushed.value, session);
      session.show(pushed, (version) => pushedText(version, session));
    });
  withExamples(command, "muster model push ./defects", "muster model push ./defects --key release.key.pem --encrypt");
}

function republishCommand(group: Command, session: Session): void {
  const command = group
    .command("republish")
    .description("publish a version's bytes again under a higher release: the way back that devices accept")
    .argument("<model>", "name of the model")
    .argument("<version>", "the version to go back to")
    .requiredOption("--as <version>", "the name of the new version")
    .option(
      "--key <file>",
      "sign here with this release key, which must have signed the version; may be given again",
      collected,
    )
    .action(async (model: string, version: string, { as, key }: { as: string; key?: string[] }) => {
      const body = parseWith(Republish, { model, version, as }, "usage/invalid", "the command line");
      const api = await session.api();
      const keys = await releaseKeys(key, session.io.env);
      const pushed =
        keys.length === 0
          ? await api.post("/v1/models/republish", PushedVersion, body)
          : await republishSigned(api, body, keys);
      session.show(pushed, (made) => pushedText(made, session));
    });
  withExamples(command, "muster model republish defects 1.4.0 --as 1.4.0-again");
}

function listCommand(group: Command, session: Session): void {
  const command = group
    .command("ls")
    .description("list versions, the newest release of a model first")
    .argument("[model]", "only this model")
    .action(async (model?: string) => {
      const api = await session.api();
      session.show(await api.get("/v1/models", VersionList, { model }), ({ versions }) =>
        versions.length === 0 ? "No model has been pushed yet: muster model push DIR" : versionTable(versions, session),
      );
    });
  withExamples(command, "muster model ls", "muster model ls defects");
}

function showCommand(group: Command, session: Session): void {
  const command = group
    .command("show")
    .description("show a version: variants, tensors, self-test, budgets and baseline")
    .argument("<model>", "name of the model")
    .argument("<version>", "its version")
    .action(async (model: string, version: string) => {
      const api = await session.api();
      const answer = await api.get(route`/v1/models/${model}/versions/${version}`, VersionView);
      session.show(answer, (shown) => versionText(shown, session));
    });
  withExamples(command, "muster model show defects 1.0.0", "muster model show defects 1.0.0 --json | jq .manifest");
}

function removeCommand(group: Command, session: Session): void {
  const command = group
    .command("remove")
    .alias("rm")
    .description("remove a version that no device runs, wants or could go back to and no rollout needs, and its bytes")
    .argument("<model>", "name of the model")
    .argument("<version>", "its version")
    .action(async (model: string, version: string) => {
      const api = await session.api();
      await api.delete(route`/v1/models/${model}/versions/${version}`);
      session.show({ value: version, raw: { removed: { model, version } } }, () => `${model} ${version} is removed`);
    });
  withExamples(command, "muster model remove defects 1.0.0");
}

function sentText({ files, sizeBytes }: { files: number; sizeBytes: number }, total: number): string {
  if (files === 0) return `the hub has all ${total} files already`;
  const rest = files === total ? "" : `; it had the other ${total - files}`;
  return `sent ${files} of ${total} files to the hub (${formatBytes(sizeBytes)})${rest}`;
}

function pushedText(
  { model, version, release, created, sizeBytes, manifest }: PushedVersion,
  { style }: Session,
): string {
  const name = style.bold(`${model} ${version}`);
  if (!created) return `${name} was there already, exactly as in this bundle (release ${release}); nothing changed`;
  const variants = manifest.variants.map((variant) => variant.name).join(", ");
  const next = `Bring it to devices: muster rollout start ${model} ${version}`;
  return `${style.good("pushed")} ${name} as release ${release}: ${variants}, ${formatBytes(sizeBytes)}\n${next}`;
}
