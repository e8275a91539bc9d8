import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";

/** Paths below the root of a machine and what their files say. */
export type BoardFiles = Readonly<Record<string, string>>;

/** The speed files of cores, given from first to last. */
function cores(...speeds: readonly { capacity?: number; maxKhz?: number; coreId?: number }[]): BoardFiles {
  const files = speeds.flatMap(({ capacity, maxKhz, coreId }, at): [string, string][] => {
    const folder = `sys/devices/system/cpu/cpu${at}`;
    return [
      [`${folder}/topology/physical_package_id`, "0\n"],
      [`${folder}/topology/core_id`, `${coreId ?? at}\n`],
      ...(capacity === undefined ? [] : [[`${folder}/cpu_capacity`, `${capacity}\n`] as [string, string]]),
      ...(maxKhz === undefined ? [] : [[`${folder}/cpufreq/cpuinfo_max_freq`, `${maxKhz}\n`] as [string, string]]),
    ];
  });
  return Object.fromEntries(files);
}

function armInfo(features: string, ...parts: readonly string[]): string {
  const blocks = parts.map((part, at) =>
    [
      `processor\t: ${at}`,
      "BogoMIPS\t: 48.00",
      `Features\t: ${features}`,
      "CPU implementer\t: 0x41",
      "CPU architecture: 8",
      "CPU variant\t: 0x0",
      `CPU part\t: ${part}`,
      "CPU revision\t: 3",
    ].join("\n"),
  );
  return `${blocks.join("\n\n")}\n\n`;
}

function pcInfo(model: string, flags: string, threads: number): string {
  const blocks = Array.from({ length: threads }, (_, at) =>
    [`processor\t: ${at}`, "vendor_id\t: GenuineIntel", `model name\t: ${model}`, `flags\t\t: ${flags}`].join("\n"),
  );
  return `${blocks.join("\n\n")}\n\n`;
}

const memory = (kibibytes: number) => ({ "proc/meminfo": `MemTotal:       ${kibibytes} kB\nMemFree:  1000 kB\n` });
const zone = (at: number, type: string, milli: number) => ({
  [`sys/class/thermal/thermal_zone${at}/type`]: `${type}\n`,
  [`sys/class/thermal/thermal_zone${at}/temp`]: `${milli}\n`,
});
const v8 = "fp asimd evtstrm crc32 cpuid";
const v82 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp";

/** The files of some boards, as far as an agent reads them; put together from what such boards are known to say. */
export const boardFiles = {
  /** With a weak power supply: too little voltage now, capped earlier. */
  "raspberry-pi-4": {
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0",
    "proc/cpuinfo": armInfo(v8, "0xd08", "0xd08", "0xd08", "0xd08"),
    ...memory(3_884_328),
    ...cores(...Array.from({ length: 4 }, () => ({ capacity: 1024, maxKhz: 1_800_000 }))),
    ...zone(0, "cpu-thermal", 62_321),
    "sys/devices/platform/soc/soc:firmware/get_throttled": "20001\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "1800000\n",
    "dev/apex_0": "",
  },
  "raspberry-pi-5": {
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/device-tree/compatible": "raspberrypi,5-model-b\0brcm,bcm2712\0",
    "proc/cpuinfo": armInfo(v82, "0xd0b", "0xd0b", "0xd0b", "0xd0b"),
    ...memory(8_252_480),
    ...cores(...Array.from({ length: 4 }, () => ({ capacity: 1024, maxKhz: 2_400_000 }))),
    ...zone(0, "cpu-thermal", 48_500),
    "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "dev/hailo0": "",
  },
  /** In the 7 W mode, with a hot processor. */
  "jetson-orin-nano": {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0",
    "etc/nv_tegra_release":
      "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025\n",
    "etc/nvpmodel.conf":
      "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=1 NAME=7W >\nCPU_ONLINE CORE_4 0\n",
    "var/lib/nvpmodel/status": "pmode:0001",
    "proc/cpuinfo": armInfo(v82, "0xd42", "0xd42", "0xd42", "0xd42", "0xd42", "0xd42"),
    ...memory(7_802_348),
    ...cores(...Array.from({ length: 6 }, () => ({ capacity: 1024, maxKhz: 1_510_400 }))),
    "sys/devices/system/cpu/cpu4/online": "0\n",
    "sys/devices/system/cpu/cpu5/online": "0\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "960000\n",
    ...zone(0, "cpu-thermal", 96_500),
    ...zone(1, "gpu-thermal", 95_000),
    ...zone(2, "cv0-thermal", -256_000),
    "sys/class/thermal/cooling_device0/type": "pwm-fan\n",
    "sys/class/thermal/cooling_device0/cur_state": "3\n",
    "sys/class/thermal/cooling_device1/type": "cpufreq-cpu0\n",
    "sys/class/thermal/cooling_device1/cur_state": "2\n",
  },
  /** A laptop with two fast cores of two threads each and four slow ones, an NVIDIA GPU and an NPU. */
  "x86-laptop": {
    "sys/class/dmi/id/sys_vendor": "Dell Inc.\n",
    "sys/class/dmi/id/product_name": "Latitude 5440\n",
    "proc/cpuinfo": pcInfo("13th Gen Intel(R) Core(TM) i5-1335U", "fpu sse4_2 avx2 fma avx_vnni", 8),
    ...memory(16_123_456),
    ...cores(
      ...[0, 0, 1, 1].map((coreId) => ({ maxKhz: 4_600_000, coreId })),
      ...[2, 3, 4, 5].map((coreId) => ({ maxKhz: 3_400_000, coreId })),
    ),
    ...zone(0, "x86_pkg_temp", 51_000),
    "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count": "17\n",
    "proc/driver/nvidia/gpus/0000:01:00.0/information":
      "Model: \t\t NVIDIA GeForce RTX 3050 Laptop GPU\nIRQ:   \t\t 155\nGPU UUID: \t GPU-x\n",
    "sys/class/drm/renderD128/device/uevent": "DRIVER=i915\nPCI_ID=8086:A7A1\n",
    "sys/class/accel/accel0/device/uevent": "DRIVER=intel_vpu\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
  },
  /** In a container that may use 2 GB, with VNNI and without any speed told. */
  "x86-gateway": {
    "sys/class/dmi/id/sys_vendor": "Advantech\n",
    "sys/class/dmi/id/product_name": "UNO-2484G\n",
    "proc/cpuinfo": pcInfo("Intel(R) Xeon(R) D-2712T", "fpu sse4_2 avx2 fma avx512f avx512_vnni", 4),
    ...memory(32_000_000),
    ...cores({}, {}, {}, {}),
    "sys/fs/cgroup/memory.max": "2000000000\n",
  },
  /** Four slow cores first, then two pairs of fast ones, as the chip numbers them. */
  rk3588: {
    "proc/device-tree/model": "Radxa ROCK 5B\0",
    "proc/device-tree/compatible": "radxa,rock-5b\0rockchip,rk3588\0",
    "proc/cpuinfo": armInfo(v82, ...Array(4).fill("0xd05"), ...Array(4).fill("0xd0b")),
    ...memory(16_200_000),
    ...cores(
      ...Array.from({ length: 4 }, () => ({ capacity: 530, maxKhz: 1_800_000 })),
      ...Array.from({ length: 2 }, () => ({ capacity: 1024, maxKhz: 2_400_000 })),
      ...Array.from({ length: 2 }, () => ({ capacity: 1007, maxKhz: 2_352_000 })),
    ),
    ...zone(0, "package-thermal", 44_384),
    "sys/class/drm/renderD128/device/uevent": "DRIVER=mali\n",
    "sys/class/drm/renderD129/device/uevent": "DRIVER=RKNPU\n",
  },
} satisfies Record<string, BoardFiles>;

/** Lays the files of a board out under a folder, which goes when the test ends, and returns the folder. */
export async function boardRoot(t: TestContext, files: BoardFiles): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "muster-board-"));
  t.after(() => rm(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(root, dirname(path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return root;
}
