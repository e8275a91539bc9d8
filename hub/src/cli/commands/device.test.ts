import assert from "node:assert/strict";
import { test } from "node:test";
import { startFakeHub } from "../testing/fake-hub.js";
import { nowMs, runCliHere } from "../testing/run-cli.js";
import { sampleDevice } from "../testing/samples.js";

test("devices are listed with state, version, provider, labels and last sign of life", async (t) => {
  const hub = await startFakeHub(t, { "GET /v1/devices": () => ({ devices: [sampleDevice("cam-1")] }) });
  const { out } = await runCliHere(["device", "ls", "--selector", "site=lyon,line!=9", "--hub", hub.url]);
  assert.deepEqual(hub.calls, ["GET /v1/devices?selector=site%3Dlyon%2Cline%21%3D9"]);
  const [titles, row] = out.split("\n");
  assert.match(titles ?? "", /^DEVICE +STATE +SERVING +PROVIDER +LABELS +LAST SEEN$/);
  assert.match(row ?? "", /^cam-1 +online +defects 1\.0\.0 \(1\.1\.0 downloading\) +cpu +site=lyon,line=3 +3 s ago$/);
});

test("--json prints the answer as it came and nothing else, before or after the command", async (t) => {
  const answer = { devices: [{ ...sampleDevice("cam-1"), addedByANewerHub: true }] };
  const hub = await startFakeHub(t, { "GET /v1/devices": () => answer });
  for (const argv of [
    ["--json", "device", "ls", "--hub", hub.url],
    ["device", "ls", "--hub", hub.url, "--json"],
  ]) {
    const { out, err } = await runCliHere(argv, { terminal: true });
    assert.deepEqual(JSON.parse(out), answer);
    assert.equal(err, "");
  }
});

test("colours appear on a terminal only, and never with NO_COLOR", async (t) => {
  const hub = await startFakeHub(t, { "GET /v1/devices/cam-1": () => sampleDevice("cam-1") });
  const argv = ["device", "show", "cam-1", "--hub", hub.url];
  const csi = "\u001b[";
  assert.ok(!(await runCliHere(argv)).out.includes(csi));
  assert.ok((await runCliHere(argv, { terminal: true })).out.includes(csi));
  assert.ok(!(await runCliHere(argv, { terminal: true, env: { NO_COLOR: "1" } })).out.includes(csi));
});

test("what a device says cannot command the terminal", async (t) => {
  const device = sampleDevice("cam-1");
  const evil = { ...device, agentVersion: "1\u001b[2J\u0007\u009b31m2" };
  const hub = await startFakeHub(t, { "GET /v1/devices/cam-1": () => evil });
  const { out } = await runCliHere(["device", "show", "cam-1", "--hub", hub.url]);
  assert.match(out, /agent +1\[2J31m2\n/);
});

test("a device is shown with hardware, candidate, last attempts, spool and refusal", async (t) => {
  const hub = await startFakeHub(t, { "GET /v1/devices/cam-1": () => sampleDevice("cam-1") });
  const { out } = await runCliHere(["device", "show", "cam-1", "--hub", hub.url]);
  assert.match(out, /hardware +Raspberry Pi 5 \(linux arm64\), 8\.0 GB memory, 12\.0 GB disk free/);
  assert.match(out, /processor +4 cores Cortex-A76\n/);
  assert.match(out, /refused +revision 6 is older than 7/);
  assert.match(out, /spool +2 windows and 1 event wait/);
  assert.match(out, /committed +1\.0\.0 \(release 1\), int8 on cpu with 4 threads/);
  assert.match(out, /candidate +1\.1\.0 downloading, 1\.0 MB of 4\.0 MB/);
  assert.match(out, /1\.1\.0 +rejected +2 min ago +E_SELFTEST sample 2 says ok, expected scratch/);
});

test("of a device are shown what holds it back, the ways its trial tried, and that it fell to a slower provider", async (t) => {
  const device = sampleDevice("cam-1");
  const { hardware, reported } = device;
  assert.ok(hardware !== undefined && reported !== undefined);
  const way = { variant: "int8", provider: "cpu", threads: 2, p50Ms: 1.234, p95Ms: 2, rssBytes: 90_000_000 };
  const rejected = { code: "E_PROVIDER", detail: "no \u001b[2Jdriver" } as const;
  const models = reported.models.map((model) => ({
    ...model,
    running: { requested: "cuda", actual: "cpu", reason: "no driver" },
    fallback: { attempt: "r-1/0", detail: "1.0.0 was to run on cuda and runs on cpu: no driver" },
    trial: {
      ...{ attempt: "r-1/0", version: "1.0.0", atMs: nowMs - 60_000, remembered: false },
      chosen: { variant: "int8", provider: "cpu", threads: 2 },
      tried: [{ variant: "int8", provider: "cuda", threads: 1, rejected }, way, { ...way, threads: 4, p50Ms: 2 }],
      skipped: [{ what: "fp32", reason: "the disk has 1.0 MB free" }],
    },
  }));
  const jetson = {
    ...hardware,
    jetson: { module: "p3768", l4t: "36.4.3", jetpack: "6.2" },
    clusters: [{ cores: 6, cpu: "Cortex-A78AE", maxMhz: 1510 }],
    gpus: [{ name: "NVIDIA GPU of the Jetson module", shared: true }],
    throttling: ["heat slows down cpufreq-cpu0 (step 2)"],
    power: { mode: "7W" },
  };
  const hub = await startFakeHub(t, {
    "GET /v1/devices/cam-1": () => ({ ...device, hardware: jetson, reported: { ...reported, models } }),
  });
  const { out } = await runCliHere(["device", "show", "cam-1", "--hub", hub.url]);
  assert.match(out, /jetson +module p3768, L4T 36\.4\.3, JetPack 6\.2/);
  assert.match(out, /processor +4 cores Cortex-A76, 6 × Cortex-A78AE at 1510 MHz/);
  assert.match(out, /gpu +NVIDIA GPU of the Jetson module \(shares the memory\)/);
  assert.match(out, /held back +heat slows down cpufreq-cpu0/);
  assert.match(out, /running on +cpu, not cuda: no driver/);
  assert.match(out, /fell back +1\.0\.0 was to run on cuda/);
  assert.match(out, /int8 +cuda +1 +E_PROVIDER no \[2Jdriver/);
  assert.match(out, /int8 +cpu +2 +1\.23 +2\.00 +90\.0 MB +chosen 1 min ago/);
  assert.match(out, /int8 +cpu +4 +2\.00 +2\.00 +90\.0 MB +correct/);
  assert.match(out, /fp32 +not fetched: the disk has 1\.0 MB free/);
});

test("a device is shown with where its inputs come from and its answers go to", async (t) => {
  const device = sampleDevice("cam-1");
  const counts = { taken: 7, failed: 0, dropped: 31 };
  const reported = {
    ...device.reported,
    sources: [
      {
        type: "video",
        target: "rtsp://cam/1",
        model: "defects",
        state: "waiting",
        reason: "no version serves",
        ...counts,
      },
    ],
    sinks: [
      {
        ...{ type: "webhook", target: "https://line.example/hook", state: "failed", waiting: 5, written: 2 },
        ...{ failed: 0, dropped: 0, lastError: "the receiver answers 503" },
      },
    ],
  };
  const hub = await startFakeHub(t, { "GET /v1/devices/cam-1": () => ({ ...device, reported }) });
  const { out } = await runCliHere(["device", "show", "cam-1", "--hub", hub.url]);
  assert.match(out, /video rtsp:\/\/cam\/1 → defects +waiting: no version serves +7 +0 +31/);
  assert.match(out, /webhook https:\/\/line\.example\/hook +failed +2 +5 +0 +0 +the receiver answers 503/);
});

test("an invitation prints the line for the device and until when it works", async (t) => {
  let asked: unknown;
  const hub = await startFakeHub(t, {
    "POST /v1/invites": ({ body }) => {
      asked = body;
      return {
        url: "https://h:7401",
        token: "t",
        expiresMs: nowMs + 7_200_000,
        command: "muster-agent join https://h:7401 t",
      };
    },
  });
  const argv = ["device", "invite", "--label", "site=lyon,line=3", "--uses", "2", "--valid", "2h", "--hub", hub.url];
  const { out } = await runCliHere(argv);
  assert.deepEqual(asked, { labels: { site: "lyon", line: "3" }, uses: 2, validMs: 7_200_000 });
  assert.match(out, /\n {2}muster-agent join https:\/\/h:7401 t\n/);
  assert.match(out, /2 times, until .* \(2 h from now\)/);
});

test("an invitation that cannot be is refused before the hub is asked", async () => {
  const argv = ["device", "invite", "--device", "no spaces", "--uses", "0", "--hub", "http://127.0.0.1:1"];
  await assert.rejects(runCliHere(argv), (error: Error) => {
    assert.match(error.message, /device: must be 1 to 64/);
    assert.match(error.message, /uses: /);
    return true;
  });
});

test("labels are set and removed, and a device is removed", async (t) => {
  let asked: unknown;
  const hub = await startFakeHub(t, {
    "PATCH /v1/devices/cam-1/labels": ({ body }) => {
      asked = body;
      return sampleDevice("cam-1");
    },
    "DELETE /v1/devices/cam-1": () => undefined,
  });
  const labelled = await runCliHere(["device", "label", "cam-1", "site=lyon", "--remove", "row,col", "--hub", hub.url]);
  assert.deepEqual(asked, { set: { site: "lyon" }, remove: ["row", "col"] });
  assert.equal(labelled.out, "cam-1 now has site=lyon, line=3\n");
  const removed = await runCliHere(["device", "rm", "cam-1", "--json", "--hub", hub.url]);
  assert.deepEqual(JSON.parse(removed.out), { removed: "cam-1" });
});

test("certificates are shown with serial and expiry, and revoked with a reason", async (t) => {
  let asked: unknown;
  const good = { serial: "5f01", issuedMs: nowMs - 1000, expiresMs: nowMs + 86_400_000 };
  const bad = { serial: "5f00", issuedMs: 0, expiresMs: nowMs + 1000, revokedMs: nowMs - 1000, reason: "stolen" };
  const hub = await startFakeHub(t, {
    "GET /v1/devices/cam-1": () => ({ ...sampleDevice("cam-1"), certificates: [bad, good] }),
    "POST /v1/devices/cam-1/revoke": ({ body }) => {
      asked = body;
      return { ...sampleDevice("cam-1"), certificates: [bad] };
    },
  });
  const { out } = await runCliHere(["device", "show", "cam-1", "--hub", hub.url]);
  assert.match(out, /certificate +5f00, refused since .*: stolen\n/);
  assert.match(out, /certificate +5f01, valid until .* \(24 h from now\)/);
  const argv = ["device", "revoke", "cam-1", "--serial", "5F:01", "--reason", "stolen", "--hub", hub.url];
  const revoked = await runCliHere(argv);
  assert.deepEqual(asked, { serial: "5F:01", reason: "stolen" });
  assert.match(revoked.out, /cam-1 cannot connect any more; .* muster device invite --device cam-1 --again/);
});
