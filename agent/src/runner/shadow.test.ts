import assert from "node:assert/strict";
import { test } from "node:test";
import { infer, makeManifest, picture, serve, slotOf, startRunner, until } from "./testing.js";

const plan = { ms: 1000, share: 1, cpuShare: 1, minAgreement: 0 };

test("a version in the shadow gets copies, is compared in windows of its own, and answers nobody", async (t) => {
  const { host, url } = await startRunner(t, { workers: 1 });
  const bytes = await picture();
  const [one, two] = await Promise.all(
    ["1.0.0", "2.0.0"].map(async (version) => slotOf(await makeManifest([bytes], { version }))),
  );
  assert.ok(one !== undefined && two !== undefined);
  await serve(host, one);
  await host.load(two);
  await host.shadow(two.manifestDigest, plan);
  let seen = { of: "", compared: 0, agreed: 0, skipped: 0 };
  await until("some were compared", async () => {
    const { model_version } = (await (await infer(url, bytes)).json()) as { model_version: string };
    assert.equal(model_version, "1.0.0");
    for (const { version, shadow } of await host.takeWindows()) {
      assert.equal(shadow !== undefined, version === "2.0.0");
      if (shadow === undefined) continue;
      const { of, compared, agreed, skipped } = shadow;
      seen = {
        of,
        compared: seen.compared + compared,
        agreed: seen.agreed + agreed,
        skipped: seen.skipped + skipped,
      };
    }
    return seen.compared >= 5;
  });
  assert.equal(seen.of, "1.0.0");
  assert.equal(seen.agreed, seen.compared);

  await t.test("while it is paused everything is skipped", async () => {
    await host.pauseShadows(true);
    await infer(url, bytes);
    await host.takeWindows();
    for (let at = 0; at < 3; at += 1) await infer(url, bytes);
    const [window] = (await host.takeWindows()).filter(({ version }) => version === "2.0.0");
    assert.deepEqual(window?.shadow, { of: "1.0.0", compared: 0, agreed: 0, skipped: 3 });
    await host.pauseShadows(false);
  });

  await t.test("once it serves it is no shadow any more", async () => {
    await host.activate(two.manifestDigest);
    await host.takeWindows();
    await infer(url, bytes);
    const windows = await host.takeWindows();
    assert.deepEqual(
      windows.map(({ version, shadow }) => [version, shadow]),
      [["2.0.0", undefined]],
    );
  });
});
