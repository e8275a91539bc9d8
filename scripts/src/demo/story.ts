import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { LatencyReport, PushedVersion } from "@muster/shared";
import { eventually, labelText, makeBundle, programs, renderLabel, runCommand } from "@muster/test";
import { Application } from "./application.js";
import type { Cameras } from "./cameras.js";
import type { Line } from "./line.js";

/** Three devices join, each with an invitation of its own. */
export async function join3(line: Line): Promise<void> {
  const { tell, hub, agents } = line;
  tell.step("Three devices join, each with an invitation");
  for (const [at, agent] of agents.entries()) {
    await agent.join(hub, `site=lyon,line=${at + 1}`);
    await agent.start();
  }
  await eventually("three devices online", async () =>
    (await line.devices()).filter(({ online }) => online).length === 3 ? true : undefined,
  );
  await line.muster("device", "ls");
  const devices = await line.devices();
  tell.check(
    "three devices are online with the labels of their invitations",
    devices.every(({ labels }) => labels.site === "lyon"),
  );
  const agent = line.agent(1);
  const again = await runCommand(programs.agent, [
    "--data-dir",
    join(agent.dataDir, "other"),
    "join",
    hub.enrolmentUrl,
    "x".repeat(32),
    "--device",
    "stranger",
  ]);
  tell.check("who has no invitation does not get in", again.code !== 0, again.stderr.trim());
}

/** A version is pushed; its baseline comes from its reference pictures. */
export async function pushFirst(line: Line): Promise<void> {
  const { tell, folder, hub } = line;
  tell.step("A bundle is pushed: the text-orientation classifier, fp32");
  const bundle = join(folder, "bundles", "v1");
  await makeBundle(bundle, { version: "1.0.0", kind: "fp32" });
  tell.check("muster model push accepts it", (await line.muster("model", "push", bundle)) === 0);
  const version = await hub.operator.json<PushedVersion>("model", "show", "label-orientation", "1.0.0");
  const features = Object.entries(version.manifest.baseline);
  const counted = features[0]?.[1].counts.reduce((sum, count) => sum + count, 0);
  tell.check(
    "its baseline was measured at push",
    counted === 300,
    `${features.length} features over ${counted} pictures`,
  );
  const again = await hub.operator.json<PushedVersion>("model", "push", bundle);
  tell.check("pushing it again changes nothing", !again.created && again.release === 1);
}

/** The first rollout, in two waves. */
export async function firstRollout(line: Line): Promise<void> {
  const { tell } = line;
  tell.step("Version 1.0.0 rolls out: one device first, then all");
  await line.muster("rollout", "plan", "label-orientation", "1.0.0", "--waves", "1,100%", "--selector", "site=lyon");
  const { rollout, code } = await line.rollOut("1.0.0", "1,100%");
  tell.check("the rollout completes", code === 0 && rollout.state === "completed", rollout.state);
  const [first, second] = rollout.waves;
  tell.check(
    "the first wave was one device, the second all others",
    first?.devices.length === 1 && second?.devices.length === 2,
  );
  const soakedMs = (second?.startedMs ?? 0) - (first?.soakingSinceMs ?? Number.POSITIVE_INFINITY);
  tell.check("the second wave began after the first had soaked", soakedMs >= 2000, `${(soakedMs / 1000).toFixed(1)} s`);
  for (const agent of line.agents) {
    const fetched = await agent.program.waitFor("transfer.completed", 1000);
    tell.check(
      `${agent.device} pulled the model over MQTT, proved it and serves it`,
      Number(fetched.fetchedBytes) > 500_000,
      `${fetched.fetchedBytes} bytes`,
    );
  }
}

/** Devices answer their cameras and an application; the hub knows how fast and how alike the inputs are. */
export async function atWork(line: Line, cameras: Cameras): Promise<void> {
  const { tell, hub } = line;
  tell.step("The devices classify what their cameras see");
  await line.untilAnswered(60);
  for (const agent of line.agents) {
    const known = (await line.answers(agent)).flatMap(({ input, label }) => {
      const truth = cameras.truth(input.split("/").at(-1) ?? "");
      return truth === undefined ? [] : [truth === label];
    });
    const right = known.filter(Boolean).length;
    tell.check(`${agent.device} reads its labels`, right / known.length >= 0.95, `${right} of ${known.length} right`);
  }
  const jpeg = await renderLabel({ text: labelText(7), rotated: true, seed: 7 });
  const answer = (await (await line.agent(1).infer(jpeg)).json()) as { label: string; confidence: number };
  tell.check("an application asks by HTTP", answer.label === "rotated-180", JSON.stringify(answer));
  const bad = await line.agent(1).infer(Buffer.from("this is no picture"));
  tell.check("and is told what is wrong with a file that is no picture", bad.status === 400, await bad.text());
  await eventually("telemetry of three devices", async () => {
    const { rows } = await hub.operator.json<LatencyReport>("telemetry", "latency");
    return rows.filter(({ inputs }) => inputs >= 60).length === 3 ? true : undefined;
  });
  await line.muster("telemetry", "latency", "--stages");
  const { rows } = await hub.operator.json<LatencyReport>("telemetry", "latency");
  tell.check(
    "latency percentiles of every stage are real",
    rows.every(({ stages }) => (stages.run?.p99 ?? 0) >= (stages.run?.p50 ?? 1) && (stages.total?.p50 ?? 0) > 0),
  );
  tell.check(
    "both classes were seen on every device",
    rows.every(({ classes }) => Object.keys(classes).length === 2),
  );
  await line.muster("device", "ls");
  await line.muster("drift");
  const drift = await line.drift();
  tell.check(
    "no input drifts",
    drift.length === 3 && drift.every(({ features }) => features.every(({ drifting }) => !drifting)),
  );
}

/** The lamp over line 2 fails. */
export async function lampFails(line: Line, cameras: Cameras): Promise<void> {
  const { tell } = line;
  tell.step("The light fails on line 2: its pictures are dark and blurred");
  const lamp = cameras.lamps.get("lyon-2");
  if (lamp === undefined) throw new Error("line 2 has no lamp");
  Object.assign(lamp, { light: 0.35, blur: 2 });
  const failedMs = Date.now();
  const rows = await eventually("drift of lyon-2", async () => {
    const now = await line.drift();
    const drifting = now.find(({ device }) => device === "lyon-2")?.features.filter(({ drifting: yes }) => yes) ?? [];
    return drifting.some(({ feature }) => feature === "brightness") ? now : undefined;
  });
  await line.muster("drift");
  const alarmed = rows.filter(({ features }) => features.some(({ drifting }) => drifting)).map(({ device }) => device);
  tell.check(
    "the drift of line 2 rises over its threshold, the others stay quiet",
    alarmed.join() === "lyon-2",
    alarmed.join(),
  );
  await line.muster("telemetry", "events", "--kind", "drift.began");
  const began = await line.events("--kind", "drift.began");
  const brightness = began.find(({ fields }) => fields.feature === "brightness");
  tell.check(
    "the event log says which feature, and since when",
    brightness?.device === "lyon-2" && brightness.atMs >= failedMs,
    `${((brightness?.atMs ?? 0) - failedMs) / 1000} s after the lamp`,
  );
  Object.assign(lamp, { light: 1, blur: 0 });
}

/** A good version widens, a broken one halts, and nobody stops serving. */
export async function goodAndBroken(line: Line): Promise<void> {
  const { tell, folder } = line;
  const jpeg = await renderLabel({ text: labelText(8), seed: 8 });
  const applications = line.agents.map((agent) => new Application(agent, jpeg));
  tell.step("Version 2.0.0, the same network with its weights quantised, rolls out wave by wave");
  const second = join(folder, "bundles", "v2");
  await makeBundle(second, { version: "2.0.0", kind: "int8-weights" });
  const sizes = await Promise.all(
    ["v1", "v2"].map(async (name) => (await stat(join(folder, "bundles", name, "model.onnx"))).size),
  );
  tell.check(
    "it is smaller",
    (sizes[1] ?? 0) < 0.5 * (sizes[0] ?? 0),
    `${sizes[1]} bytes, ${((100 * (sizes[1] ?? 0)) / (sizes[0] ?? 1)).toFixed(0)} % of fp32`,
  );
  tell.check("muster model push accepts it", (await line.muster("model", "push", second)) === 0);
  const good = await line.rollOut("2.0.0", "1,100%");
  tell.check("the rollout completes", good.code === 0 && good.rollout.state === "completed", good.rollout.state);

  tell.step("Version 3.0.0 is broken on purpose");
  const third = join(folder, "bundles", "v3");
  await makeBundle(third, { version: "3.0.0", kind: "broken" });
  const refused = await line.hub.operator.run("model", "push", third);
  tell.check(
    "the hub itself refuses it: its self-test fails",
    refused.code === 1 && refused.stderr.includes("self-test"),
    refused.stderr
      .split("\n")
      .find((text) => text.includes("selfTest"))
      ?.trim(),
  );
  tell.check(
    "pushed without the hub's own test, it is taken",
    (await line.muster("model", "push", third, "--no-self-test")) === 0,
  );
  const { rollout, code } = await line.rollOut("3.0.0", "1,100%");
  await line.muster("rollout", "show", rollout.id);
  tell.check(
    "the rollout halts at its first wave",
    code === 3 && rollout.state === "rolled-back" && rollout.waves[0]?.state === "failed",
    rollout.state,
  );
  tell.check(
    "nobody in the second wave was touched",
    rollout.waves[1]?.devices.every(({ state }) => state === "waiting") === true,
  );
  tell.check("rollout show says why", rollout.reason?.includes("E_SELFTEST") === true, rollout.reason);
  const versions = Object.values(await line.committed());
  tell.check(
    "every device still has 2.0.0",
    versions.length === 3 && versions.every((version) => version === "2.0.0"),
    versions.join(),
  );

  const counts = await Promise.all(applications.map((application) => application.stop()));
  const answers = counts.reduce((sum, { answers: more }) => sum + more, 0);
  const failures = counts.flatMap(({ failures: more }) => more);
  tell.check(
    "no device stopped serving for a moment",
    failures.length === 0,
    `${answers} requests, ${failures.length} failed ${failures[0] ?? ""}`,
  );
  const served = new Set(counts.flatMap(({ versions: seen }) => [...seen]));
  tell.check("the broken version answered no request", served.has("2.0.0") && !served.has("3.0.0"), [...served].join());
}

/** An agent and the hub are killed in the middle of their work. */
export async function killed(line: Line): Promise<void> {
  const { tell, folder, hub } = line;
  tell.step("An agent and the hub are killed with SIGKILL while a transfer runs");
  const fourth = join(folder, "bundles", "v4");
  await makeBundle(fourth, { version: "4.0.0", kind: "fine-tuned" });
  tell.check("version 4.0.0, fine-tuned, is pushed", (await line.muster("model", "push", fourth)) === 0);
  const rollout = await line.startRollout("4.0.0", "100%");
  const victim = line.agent(3);
  const cut = await eventually("lyon-3 is in the middle of its transfer", async () => {
    const { waves } = await line.rollout(rollout.id);
    const member = waves[0]?.devices.find(({ device }) => device === "lyon-3");
    const share = (member?.doneBytes ?? 0) / (member?.totalBytes ?? 1);
    return share >= 0.6 && share < 1 ? member : undefined;
  });
  await victim.program.kill();
  tell.say(`lyon-3 was killed with ${cut.doneBytes} of ${cut.totalBytes} bytes on disk`);
  const before = { devices: (await line.devices()).length, events: await line.events() };
  await hub.program.kill();
  tell.say("the hub was killed");
  const orphan = await line.agent(1).infer(await renderLabel({ text: labelText(9), seed: 9 }));
  tell.check("without a hub the devices go on serving", orphan.status === 200);
  await hub.restart();
  await victim.start();
  const resumed = await victim.program.waitFor("transfer.resumed", 30_000);
  const fetched = await victim.program.waitFor("transfer.completed", 30_000);
  tell.check(
    "lyon-3 resumes where it was",
    // Less than what is missing, because chunks travel compressed.
    Number(resumed.presentBytes) > 0 &&
      Number(fetched.fetchedBytes) <= Number(resumed.totalBytes) - Number(resumed.presentBytes),
    `${resumed.presentBytes} bytes kept, the other ${Number(resumed.totalBytes) - Number(resumed.presentBytes)} fetched as ${fetched.fetchedBytes}`,
  );
  const code = await line.muster("rollout", "watch", rollout.id, "--timeout", "60s");
  tell.check("the rollout goes on after both and completes", code === 0);
  const versions = Object.values(await line.committed());
  tell.check(
    "every device has 4.0.0",
    versions.length === 3 && versions.every((version) => version === "4.0.0"),
    versions.join(),
  );
  const now = new Set((await line.events()).map(({ id }) => id));
  tell.check(
    "nothing the hub knew is lost",
    (await line.devices()).length === before.devices && before.events.every(({ id }) => now.has(id)),
    `${before.events.length} events before, ${now.size} now`,
  );
  await line.untilAnswered(5);
  tell.check("all cameras are answered again", true);
}
