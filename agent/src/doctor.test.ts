import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { clockFinding, runtimeFindings } from "./core/findings.js";
import { diagnose, findingsText } from "./doctor.js";
import type { RuntimeProbe } from "./ports.js";
import { boardFiles, boardRoot } from "./testing/board-files.js";

const cpuOnly: RuntimeProbe = {
  ...{ version: "1.30.0", build: "abc" },
  providers: [{ provider: "cpu", bundled: true }],
};
const checkHub = () => Promise.resolve({ error: "unreachable" });

async function examine(t: TestContext, board: keyof typeof boardFiles, runtime = cpuOnly) {
  const dataDir = await mkdtemp(join(tmpdir(), "muster-doctor-"));
  t.after(() => rm(dataDir, { recursive: true, force: true }));
  return diagnose({ dataDir, runtime, checkHub, root: await boardRoot(t, boardFiles[board]) });
}

test("a board with a weak power supply is told to get another, and that it is no failure", async (t) => {
  const { findings } = await examine(t, "raspberry-pi-4");
  const throttling = findings.find(({ check }) => check === "throttling");
  assert.ok(throttling?.ok === true && throttling.warning === true);
  assert.match(throttling.detail, /too little voltage/);
  assert.match(throttling.cure ?? "", /power supply/);
  assert.match(findingsText(findings), /warn {2}throttling/);
});

test("a hot Jetson is told why it is slow, and how its GPU comes to use", async (t) => {
  const { findings, hardware } = await examine(t, "jetson-orin-nano");
  const text = findingsText(findings);
  assert.match(text, /machine +NVIDIA Jetson Orin Nano .*L4T 36\.4\.3, JetPack 6\.2/);
  assert.match(text, /warn {2}temperature +96\.5 °C/);
  assert.match(text, /warn {2}provider +an NVIDIA GPU is seen, and this build .* cannot use it\n.*docs\/providers\.md/);
  assert.equal(hardware.onnxruntime?.build, "abc");
});

test("a device that never joined fails with the line to join by", async (t) => {
  const { findings } = await examine(t, "x86-gateway");
  const failed = findings.filter(({ ok }) => !ok);
  assert.deepEqual(
    failed.map(({ check, cure }) => [check, cure]),
    [["identity", "muster-agent join URL TOKEN"]],
  );
});

test("a provider that does not work is a warning where its GPU is, and nothing where it is not", async (t) => {
  const fault = "Failed to get a WebGPU adapter\nmore";
  const runtime: RuntimeProbe = {
    ...cpuOnly,
    providers: [
      ...cpuOnly.providers,
      { provider: "webgpu", bundled: true, fault },
      { provider: "cuda", bundled: false, fault: "no library" },
    ],
  };
  const { hardware } = await examine(t, "x86-gateway");
  const told = (of: typeof hardware) =>
    runtimeFindings(runtime, of).map(({ ok, warning, detail }) => [ok, warning, detail] as const);
  assert.deepEqual(told(hardware).slice(1), [
    [true, undefined, "cpu works"],
    [true, undefined, "webgpu does not work: Failed to get a WebGPU adapter"],
    [true, undefined, "cuda is not used: no NVIDIA GPU is seen"],
  ]);
  const nvidia = { ...hardware, gpus: [{ name: "NVIDIA A2", shared: false }] };
  assert.deepEqual(told(nvidia).at(-1), [true, true, "cuda does not work: no library"]);
});

test("a library that cannot be loaded, and one whose processor does not work, are failures", async (t) => {
  const { hardware } = await examine(t, "x86-gateway");
  const [gone] = runtimeFindings({ ...cpuOnly, providers: [], error: "cannot be loaded" }, hardware);
  assert.deepEqual([gone?.ok, gone?.detail], [false, "cannot be loaded"]);
  const broken = [{ provider: "cpu", bundled: true, fault: "trying it ended with SIGILL" }];
  assert.deepEqual(
    runtimeFindings({ ...cpuOnly, providers: broken }, hardware).map(({ ok }) => ok),
    [false, false],
  );
});

test("a clock that is behind what was signed is a failure, one that is not kept by the network a warning", () => {
  const bounds = { notBeforeMs: 1e12, from: "the certificate of the hub", synchronised: undefined };
  assert.match(clockFinding(1e12 - 3_600_000, bounds).detail, /at least 60 min behind: the certificate of the hub/);
  assert.equal(clockFinding(1e12 - 3_600_000, bounds).ok, false);
  assert.equal(clockFinding(1e12 - 1000, bounds).ok, true, "clocks differ by seconds");
  assert.equal(clockFinding(1e12, bounds).warning, undefined);
  assert.equal(clockFinding(1e12, { ...bounds, synchronised: false }).warning, true);
});

test("a damaged state file does not keep the doctor from looking", async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), "muster-doctor-"));
  t.after(() => rm(dataDir, { recursive: true, force: true }));
  await writeFile(join(dataDir, "state.json"), "{");
  const { findings } = await diagnose({ dataDir, runtime: cpuOnly, checkHub, root: await boardRoot(t, {}) });
  assert.ok(findings.some(({ check }) => check === "clock"));
});
