import assert from "node:assert/strict";
import { test } from "node:test";
import type { LatencyReport } from "@muster/shared";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { eventually } from "../fleet/fleet.js";
import { committed, device, devices, ended, model, push, rollOut } from "./line.js";
import { startHub } from "./place.js";

test("a version runs in the shadow of the serving one, and enters service only when their answers agree", async (t) => {
  const { hub, folder } = await startHub(t);
  const [machine] = await devices(t, hub, folder, 1);
  assert.ok(machine !== undefined);
  await push(hub, folder, "1.0.0", "fp32");
  assert.equal((await ended(hub, (await rollOut(hub, "1.0.0")).id)).state, "completed");
  await push(hub, folder, "2.0.0", "fine-tuned");

  const pictures = await Promise.all(
    [0, 1, 2, 3].map((seed) => renderLabel({ text: labelText(seed), rotated: seed % 2 === 1, seed })),
  );
  let asking = true;
  const versions = new Map<string, number>();
  const ask = async () => {
    for (let at = 0; asking; at += 1) {
      const response = await machine.infer(pictures[at % pictures.length] ?? new Uint8Array());
      const { model_version: version } = (await response.json()) as { model_version: string };
      assert.equal(response.status, 200);
      versions.set(version, (versions.get(version) ?? 0) + 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const asked = ask();
  const shadow = ["--shadow", "1s", "--shadow-share", "1", "--shadow-cpu", "1"];
  const seen = async () => {
    const { rows } = await hub.operator.json<LatencyReport>("telemetry", "latency", "--model", model);
    return rows.find(({ version }) => version === "2.0.0")?.shadow;
  };

  await t.test("without the agreement that is asked for it is kept out of service", async () => {
    // The answers of the fine-tuned version agree; that all of an impossible share do is asked by a version that is wrong.
    const rollout = await rollOut(hub, "2.0.0", ...shadow, "--min-agreement", "1");
    await eventually("it is in the shadow", async () =>
      (await device(hub, "d1")).reported?.models[0]?.candidate?.phase === "shadow" ? true : undefined,
    );
    assert.equal(versions.get("2.0.0"), undefined, "a version in the shadow answers nobody");
    assert.equal((await ended(hub, rollout.id)).state, "completed");
    assert.deepEqual(await committed(hub), { d1: "2.0.0" });
  });

  await t.test("and the hub knows how often they agreed", async () => {
    const { compared, agreed } = await eventually("windows with a shadow", seen);
    assert.ok(compared >= 20, `${compared} were compared`);
    assert.equal(agreed, compared);
  });
  asking = false;
  await asked;
});
