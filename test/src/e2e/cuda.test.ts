import assert from "node:assert/strict";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { EventList, Rollout } from "@muster/shared";
import { OnnxSession, pipelineOf, runInputs, type TextBoxesAnswer } from "@muster/shared/inference";
import { textDetector, textDetectorFile } from "../fixtures/ocr-models.js";
import { type PrintedLine, printedPage } from "../fixtures/printed-page.js";
import { programs, runCommand } from "../fleet/cli.js";
import { AgentMachine, eventually, type HubMachine } from "../fleet/fleet.js";
import { device, ended } from "./line.js";
import { startHub } from "./place.js";

/** A build of ONNX Runtime with CUDA, on a machine with an NVIDIA GPU. */
const onnxruntime = process.env.MUSTER_TEST_CUDA;
const skip =
  onnxruntime === undefined ? "needs a GPU; MUSTER_TEST_CUDA names a build of ONNX Runtime with CUDA" : false;

const lines: readonly PrintedLine[] = [
  { text: "LOT 4821-C", x: 100, y: 120, size: 48 },
  { text: "EXP 2027-03-14", x: 800, y: 400, size: 60 },
  { text: "SN 00412377", x: 300, y: 800, size: 64 },
];

/** What the processor of this machine finds on a page. */
async function boxesOf(page: Buffer): Promise<TextBoxesAnswer["boxes"]> {
  const session = await OnnxSession.load(textDetectorFile, { provider: "cpu", threads: 1 });
  const pipeline = pipelineOf(textDetector);
  const { inputs } = await pipeline.decode(page);
  const { readings } = await runInputs(session, pipeline, textDetector.tensors, inputs);
  await session.close();
  assert.ok(readings[0] !== undefined);
  return (readings[0].answer as TextBoxesAnswer).boxes;
}

/** Pushes the detector of lines of text, which has to find on its GPU what the processor finds. */
async function pushDetector(hub: HubMachine, folder: string, version: string, page: Buffer): Promise<void> {
  const bundle = join(folder, "bundles", version);
  await mkdir(bundle, { recursive: true });
  await copyFile(textDetectorFile, join(bundle, "model.onnx"));
  await writeFile(join(bundle, "page.png"), page);
  const boxes = (await boxesOf(page)).map(({ box }) => [box.left, box.top, box.width, box.height]);
  const samples = [{ file: "page.png", expect: { boxes } }];
  const variants = [{ name: "fp32", file: "model.onnx", precision: "fp32" }];
  const contents = { name: "lines", version, variants, ...textDetector, selfTest: { samples } };
  await writeFile(join(bundle, "muster.yaml"), JSON.stringify(contents));
  const { code, stderr } = await hub.operator.run("model", "push", bundle);
  assert.equal(code, 0, stderr);
}

function rollOut(hub: HubMachine, version: string, ...options: string[]): Promise<Rollout> {
  const short = ["--waves", "100%", "--soak", "0s", "--probation", "300ms", "--retries", "0"];
  return hub.operator.json<Rollout>("rollout", "start", "lines", version, ...short, ...options);
}

async function deviceWithGpu(t: TestContext, hub: HubMachine, folder: string): Promise<AgentMachine> {
  const machine = new AgentMachine(folder, "d1");
  await machine.join(hub, "site=lyon", { windowMs: 500, sources: [], sinks: [], onnxruntime });
  await machine.start();
  t.after(() => machine.program.stop());
  return machine;
}

test("a model is proven on the GPU, serves there, and falls to the processor when the GPU goes", {
  skip,
}, async (t) => {
  const { hub, folder } = await startHub(t);
  const page = await printedPage(1600, 1000, lines);
  const machine = await deviceWithGpu(t, hub, folder);
  const answer = async () => {
    const response = await machine.infer(page, "lines");
    assert.equal(response.status, 200, await response.clone().text());
    return ((await response.json()) as TextBoxesAnswer).boxes.length;
  };
  const state = async () => (await device(hub, "d1")).reported?.models[0];

  await t.test("doctor has run a model on it", async () => {
    const config = join(folder, "d1", "agent.yaml");
    const { stdout } = await runCommand(programs.agent, ["--config", config, "doctor", "--json"]);
    const { findings } = JSON.parse(stdout) as { findings: { check: string; ok: boolean; detail: string }[] };
    t.diagnostic(findings.map(({ check, detail }) => `${check}: ${detail}`).join("\n"));
    assert.match(findings.find(({ check }) => check === "gpu")?.detail ?? "", /NVIDIA/);
    assert.ok(findings.some(({ detail }) => detail === "cuda works"));
  });

  await t.test("the trial measures it, and it wins", async () => {
    await pushDetector(hub, folder, "1.0.0", page);
    assert.equal((await ended(hub, (await rollOut(hub, "1.0.0")).id, 300_000)).state, "completed");
    const { trial, running } = (await state()) ?? {};
    t.diagnostic((await hub.operator.run("device", "show", "d1")).stdout);
    const onCuda = trial?.tried.find(({ provider }) => provider === "cuda");
    assert.equal(onCuda?.rejected, undefined);
    assert.ok((onCuda?.nodes?.cuda ?? 0) > 0);
    assert.equal(trial?.chosen?.provider, "cuda");
    assert.deepEqual([running?.requested, running?.actual], ["cuda", "cuda"]);
    assert.equal(await answer(), lines.length);
  });

  await t.test("a new version takes over without a failed request", async () => {
    await pushDetector(hub, folder, "2.0.0", page);
    const { id } = await rollOut(hub, "2.0.0");
    let asking = true;
    let answers = 0;
    const clients = Array.from({ length: 4 }, async () => {
      while (asking) {
        assert.equal(await answer(), lines.length);
        answers += 1;
      }
    });
    assert.equal((await ended(hub, id, 300_000)).state, "completed");
    asking = false;
    await Promise.all(clients);
    assert.ok(answers > 0);
    t.diagnostic(`${answers} answers during the change`);
  });

  await t.test("without the GPU it serves on the processor and says so", async () => {
    await machine.program.stop();
    process.env.CUDA_VISIBLE_DEVICES = "-1";
    await machine.start();
    assert.equal(await eventually("it answers", () => answer().catch(() => undefined)), lines.length);
    const told = await eventually("the event arrives", async () => {
      const { events } = await hub.operator.json<EventList>("telemetry", "events", "--limit", "1000");
      return events.find(({ kind }) => kind.includes("provider-fallback"));
    });
    t.diagnostic(JSON.stringify(told));
    assert.deepEqual([(await state())?.running?.requested, (await state())?.running?.actual], ["cuda", "cpu"]);
  });
});
