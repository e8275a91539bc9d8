import assert from "node:assert/strict";
import { chmod } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Hardware } from "@muster/shared";
import { nvidiaMemory } from "./facts/nvidia.js";
import { readHardware } from "./hardware.js";
import { boardFiles, boardRoot } from "./testing/board-files.js";

const runtime = { providers: ["cpu"], onnxruntime: { version: "1.30.0", build: "abc" } };

async function replay(
  t: TestContext,
  board: keyof typeof boardFiles,
  arch: string,
  cores: number,
  gpuMemory: () => Promise<number[]> = async () => [],
): Promise<Hardware> {
  const root = await boardRoot(t, boardFiles[board]);
  const machine = { platform: "linux", arch, cores };
  const hardware = await readHardware({ dataDir: tmpdir(), runtime, root, machine, gpuMemory });
  return Hardware.parse(hardware);
}

test("a Raspberry Pi 4 has no dot product, and its weak power supply is told", async (t) => {
  const pi = await replay(t, "raspberry-pi-4", "arm64", 4);
  assert.equal(pi.board, "Raspberry Pi 4 Model B Rev 1.4");
  assert.deepEqual([pi.cpu, pi.features], ["Cortex-A72", []]);
  assert.deepEqual(pi.clusters, [{ cores: 4, cpu: "Cortex-A72", maxMhz: 1800 }]);
  assert.equal(pi.memoryBytes, 3_884_328 * 1024);
  assert.deepEqual(pi.temperatures, [{ zone: "cpu-thermal", celsius: 62.3 }]);
  assert.deepEqual(pi.throttling, [
    "the power supply gives too little voltage",
    "the processor's frequency is capped (not now, but since the start)",
  ]);
  assert.deepEqual([pi.accelerators, pi.gpus, pi.jetson], [["Coral Edge TPU (PCIe)"], [], undefined]);
});

test("a Raspberry Pi 5 has the dot product, and the Hailo on it is seen", async (t) => {
  const pi = await replay(t, "raspberry-pi-5", "arm64", 4);
  assert.deepEqual([pi.cpu, pi.features], ["Cortex-A76", ["dotprod", "fp16"]]);
  assert.deepEqual([pi.throttling, pi.accelerators], [[], ["Hailo"]]);
  assert.deepEqual(pi.power, { governor: "ondemand" });
});

test("a Jetson says module, release and power mode, shares its memory with the GPU, and is throttled by heat", async (t) => {
  const jetson = await replay(t, "jetson-orin-nano", "arm64", 4);
  assert.deepEqual(jetson.jetson, { module: "p3768-0000+p3767-0005", l4t: "36.4.3", jetpack: "6.2" });
  assert.deepEqual(jetson.power, { mode: "7W", governor: "schedutil" });
  assert.deepEqual(jetson.gpus, [{ name: "NVIDIA GPU of the Jetson module", shared: true }]);
  assert.deepEqual(jetson.clusters, [{ cores: 4, cpu: "Cortex-A78AE", maxMhz: 1510 }], "two cores are off");
  assert.deepEqual(
    jetson.temperatures?.map(({ zone }) => zone),
    ["cpu-thermal", "gpu-thermal"],
    "a zone without power has no temperature",
  );
  assert.deepEqual(jetson.throttling, [
    "heat slows down cpufreq-cpu0 (step 2)",
    "the processor is limited to 960 of 1510 MHz",
  ]);
});

test("of a laptop the threads of a core count once, and its slow cores are a cluster of their own", async (t) => {
  const laptop = await replay(t, "x86-laptop", "x64", 8);
  assert.equal(laptop.board, "Dell Inc. Latitude 5440");
  assert.deepEqual(laptop.features, ["avx2", "fma", "avx_vnni"]);
  assert.deepEqual(laptop.clusters, [
    { cores: 2, maxMhz: 4600 },
    { cores: 4, maxMhz: 3400 },
  ]);
  assert.deepEqual(laptop.gpus, [
    { name: "NVIDIA GeForce RTX 3050 Laptop GPU", shared: false },
    { name: "Intel GPU", shared: true },
  ]);
  assert.deepEqual(laptop.accelerators, ["Intel NPU"]);
  assert.deepEqual(laptop.throttling, ["the processor was too hot 17 times since the start"]);
});

test("the memory of an NVIDIA GPU is what the driver's tool says, and nothing where it fails", async (t) => {
  const folder = await boardRoot(t, { "nvidia-smi": "#!/bin/sh\necho 4096\n", broken: "#!/bin/sh\necho N/A\n" });
  const tool = (name: string) => join(folder, name);
  for (const name of ["nvidia-smi", "broken"]) await chmod(tool(name), 0o755);
  const gpus = async (name: string) => {
    const laptop = await replay(t, "x86-laptop", "x64", 8, () => nvidiaMemory(tool(name)));
    return laptop.gpus?.map(({ memoryBytes }) => memoryBytes);
  };
  assert.deepEqual(await gpus("nvidia-smi"), [4096 * 1024 * 1024, undefined]);
  assert.deepEqual(await gpus("broken"), [undefined, undefined]);
  assert.deepEqual(await gpus("absent"), [undefined, undefined]);
});

test("in a container the memory is what the container may use", async (t) => {
  const gateway = await replay(t, "x86-gateway", "x64", 4);
  assert.deepEqual([gateway.board, gateway.memoryBytes], ["Advantech UNO-2484G", 2_000_000_000]);
  assert.deepEqual(gateway.features, ["avx2", "fma", "avx512f", "avx512_vnni"]);
  assert.deepEqual([gateway.temperatures, gateway.throttling, gateway.power], [[], [], {}]);
});

test("big and little cores are told apart, the big ones first", async (t) => {
  const rock = await replay(t, "rk3588", "arm64", 8);
  assert.equal(rock.cpu, "Cortex-A55 + Cortex-A76");
  assert.deepEqual(rock.clusters, [
    { cores: 4, cpu: "Cortex-A76", maxMhz: 2400 },
    { cores: 4, cpu: "Cortex-A55", maxMhz: 1800 },
  ]);
  assert.deepEqual([rock.gpus, rock.accelerators], [[{ name: "Mali GPU", shared: true }], ["Rockchip NPU"]]);
});

test("a machine without any of these files has a processor, memory and a disk all the same", async (t) => {
  const hardware = await readHardware({ dataDir: tmpdir(), runtime, root: await boardRoot(t, {}) });
  assert.equal(hardware.board, "unknown");
  assert.ok(hardware.cores > 0 && hardware.memoryBytes > 0 && hardware.freeDiskBytes > 0);
  assert.deepEqual([hardware.clusters, hardware.features], [[], []]);
  Hardware.parse(hardware);
});

test("what an older agent says of its hardware is still understood", () => {
  const old = { platform: "linux", arch: "x64", board: "b", cpu: "c", cores: 1, memoryBytes: 1, freeDiskBytes: 1 };
  assert.equal(Hardware.parse({ ...old, providers: ["cpu"] }).clusters, undefined);
});
