import { join } from "node:path";
import { type HubStatus, type Log, parseWith } from "@muster/shared";
import { clearTemporary, emptyFolder, FolderBlobs, LowdbDoc, lockFolder, systemClock } from "@muster/shared/node";
import { Access } from "./access.js";
import { openDeviceLink } from "./adapters/device-link.js";
import { inspectProcess } from "./adapters/inspect-process.js";
import { openPki } from "./adapters/pki.js";
import { openSqlite } from "./adapters/sqlite-store.js";
import { ArtifactKeys } from "./artifact-keys.js";
import { Audit } from "./audit.js";
import { BundleIntake } from "./bundle-intake.js";
import { Catalog } from "./catalog.js";
import { Certificates } from "./certificates.js";
import { HubConfig } from "./config.js";
import { CountedBlobs } from "./counted-blobs.js";
import { DesiredDocuments } from "./desired.js";
import { Devices } from "./devices.js";
import { DriftWatch } from "./drift.js";
import { Encodings } from "./encodings.js";
import { EngineIntake } from "./engine-intake.js";
import { EngineNews } from "./engine-news.js";
import { EnginePulls } from "./engine-pulls.js";
import { EngineSharing } from "./engine-sharing.js";
import { Enrolment } from "./enrolment.js";
import { Entitlement } from "./entitlement.js";
import { EventLog } from "./events.js";
import { every } from "./every.js";
import { admitAdmin } from "./first-admin.js";
import { Garbage } from "./garbage.js";
import { Gate } from "./http/gate.js";
import { accessRoutes } from "./http/routes/access.js";
import { deviceRoutes } from "./http/routes/devices.js";
import { engineRoutes } from "./http/routes/engines.js";
import { enrolmentRoutes } from "./http/routes/enrolment.js";
import { modelRoutes } from "./http/routes/models.js";
import { rolloutRoutes } from "./http/routes/rollouts.js";
import { statusRoutes } from "./http/routes/status.js";
import { telemetryRoutes } from "./http/routes/telemetry.js";
import { trustRoutes } from "./http/routes/trust.js";
import { listenHttp, newServer, useCertificate } from "./http/server.js";
import { Ingest } from "./ingest.js";
import { ListenerCertificates } from "./listener-tls.js";
import type { LinkListener } from "./ports.js";
import { Publishing } from "./publishing.js";
import { Removal } from "./removal.js";
import { RevocationList } from "./revocation-list.js";
import { RollCall } from "./roll-call.js";
import { Rollouts } from "./rollouts.js";
import { CertificateStore } from "./store/certificate-store.js";
import { EngineStore } from "./store/engine-store.js";
import { RolloutStore } from "./store/rollout-store.js";
import { StoredBlobs, StoredRound } from "./stored-blobs.js";
import { Storing } from "./storing.js";
import { Telemetry } from "./telemetry.js";
import { Transfers } from "./transfers.js";
import { Trust } from "./trust.js";

export { prepareMosquitto } from "./adapters/mosquitto-files.js";

/** The version of this hub. */
export const hubVersion = "0.1.0";

/** A running hub. */
export interface Hub {
  readonly apiUrl: string;
  readonly mqttUrl: string;
  readonly enrolmentUrl: string;
  /** The admin's token, when it was made at this start. */
  readonly newToken: string | undefined;
  close(): Promise<void>;
}

/** Starts a hub; an empty data folder is filled with what it needs. Throws `port/in-use`, `store/damaged`, `config/invalid`. */
export async function startHub(options: Partial<HubConfig>, log: Log): Promise<Hub> {
  const config = parseWith(HubConfig, options, "config/invalid", "the configuration");
  const clock = systemClock;
  const startedMs = clock.now();
  const closers: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    closers.push(await lockFolder(config.dataDir));
    for (const name of ["", "keys", "identity"]) await clearTemporary(join(config.dataDir, name));
    const trust = await Trust.open(join(config.dataDir, "keys"), clock, log);
    const { publicHost, deviceCertificateMs } = config;
    const folder = join(config.dataDir, "identity");
    const pki = await openPki({ folder, files: config, publicHost, deviceCertificateMs, clock });
    const listeners = await ListenerCertificates.open(pki, log);
    const { tls } = listeners;
    const db = await openSqlite(join(config.dataDir, "hub.db"));
    closers.push(() => db.destroy());
    const access = new Access(db, clock);
    const audit = await Audit.open(db, clock, log);
    const newToken = await admitAdmin(access, audit, join(config.dataDir, "admin.token"), config.newAdminToken);
    const { maxArtifactBytes, maxUploadBytes, maxUploads } = config;
    const artifactFolder = join(config.dataDir, "artifacts");
    const stored = await StoredBlobs.open(
      db,
      new LowdbDoc(join(artifactFolder, "round.json"), StoredRound, { round: 0 }),
    );
    const artifacts = await CountedBlobs.open(await FolderBlobs.open(artifactFolder), {
      note: (digest) => stored.note(digest),
    });
    const cure = "what no push uses goes after a day; or raise maxUploadBytes and maxUploads";
    const limits = { maxBytes: maxUploadBytes, maxBlobs: maxUploads, cure };
    const uploads = await CountedBlobs.open(await FolderBlobs.open(join(config.dataDir, "uploads")), { limits });
    const pulled = await CountedBlobs.open(await FolderBlobs.open(join(config.dataDir, "pulled")), { limits });
    const workFolder = await emptyFolder(join(config.dataDir, "work"));
    const storing = new Storing(() => stored.named().catch((error) => log.error("store.round.uncounted", { error })));

    const devices = await Devices.open({ db, clock, offlineAfterMs: config.offlineAfterMs });
    const events = new EventLog(db, clock);
    const certificateStore = await CertificateStore.open(db);
    closers.push(() => certificateStore.close());
    const certificates = new Certificates({
      ...{ store: certificateStore, clock, devices, events, pki },
      settings: { log, deviceCertificateMs },
    });
    const telemetry = new Telemetry(db, clock, devices);
    const catalog = new Catalog({ db, devices, artifacts, clock });
    const encodings = new Encodings({ db, artifacts, catalog, storing, clock, log });
    closers.push(() => encodings.close());
    const artifactKeys = await ArtifactKeys.open(db, join(config.dataDir, "keys", "artifacts.key"));
    const intake = new BundleIntake({
      inspector: inspectProcess,
      artifacts,
      uploads,
      keys: artifactKeys,
      ...{ workFolder, maxArtifactBytes },
    });
    const publishing = new Publishing({
      ...{ db, catalog, intake, uploads, trust, encodings, storing },
      settings: { clock, log, maxArtifactBytes },
    });
    const drift = new DriftWatch({
      ...{ db, catalog, devices, telemetry, events },
      settings: { clock, log, horizonMs: config.driftHorizonMs },
    });
    const engines = new EngineStore(db);
    const garbage = new Garbage({ db, artifacts, stored, catalog, encodings, engines, storing, clock, log });
    await publishing.forgetUnused();
    await garbage.sweep().catch((error) => log.error("garbage.sweep.failed", { error }));

    // The broker needs its listener before the rooms behind it exist; nothing connects until then.
    let ingest: Ingest | undefined;
    let rollCall: RollCall | undefined;
    const listener: LinkListener = {
      onMessage: (...message) => ingest?.onMessage(...message),
      onAlive: (device) => ingest?.onAlive(device),
      onGone: (device) => {
        ingest?.onGone(device);
        void rollCall?.doubt(device);
      },
      onOpen: () => void rollCall?.all(),
    };
    const link = await openDeviceLink(config, { pki, tls, door: certificates, listener, log });
    closers.push(() => link.close());
    listeners.onChange((next) => link.useTls(next));
    if (config.broker !== undefined) {
      const silentMs = config.offlineAfterMs / 3;
      rollCall = new RollCall({ devices, link, clock, silentMs, log });
      const asking = rollCall;
      closers.push(every(silentMs / 2, () => asking.tick(), log, "devices.ask"));
    }
    const revocations = RevocationList.of(config, pki, { certificates, link, clock, log });
    await revocations?.refresh();
    const desired = new DesiredDocuments({
      ...{ db, clock, link, trust },
      keys: { artifactKeys, catalog, encodings, engines },
      validMs: config.desiredValidMs,
      log,
    });
    const rolloutStore = new RolloutStore(db);
    const transfers = new Transfers({
      ...{ artifacts, encodings, devices, link, clock },
      entitlement: new Entitlement({ catalog, encodings, engines, rollouts: rolloutStore }),
      settings: { ...config, log },
    });
    const rollouts = new Rollouts({
      store: rolloutStore,
      ...{ catalog, devices, desired, events, encodings },
      settings: { clock, log },
    });
    const pulls = new EnginePulls({ link, clock, brokerElsewhere: config.broker !== undefined });
    const engineIntake = new EngineIntake({ pulls, engines, artifacts, pulled, clock, maxArtifactBytes });
    const sharing = new EngineSharing({
      ...{ engines, trust, blobs: { storing, garbage } },
      intake: engineIntake,
      fleet: { catalog, devices, news: new EngineNews({ catalog, devices, desired, log }) },
      settings: { clock, log },
    });
    ingest = new Ingest({
      ...{ link, devices, certificates, desired, transfers, pulls, log },
      evidence: { events, telemetry, drift, rollouts },
    });
    const taken = ingest;
    closers.push(() => taken.close());
    closers.push(() => sharing.close());

    const enrolmentApp = await newServer({
      title: "Muster enrolment",
      version: hubVersion,
      tls,
      requestTimeoutMs: 30_000,
      log,
    });
    closers.push(() => enrolmentApp.close());
    listeners.onChange((next) => useCertificate(enrolmentApp, next));
    // Routes come before the port is known; the invitation's URL is read when one is made.
    const address = { enrolmentUrl: "" };
    const enrolment = new Enrolment({
      ...{ db, clock, devices, events, certificates },
      hub: {
        link,
        trust: pki,
        audit,
        get roots() {
          return trust.chain();
        },
        get enrolmentUrl() {
          return address.enrolmentUrl;
        },
        log,
      },
    });
    enrolmentRoutes(enrolmentApp, enrolment);
    const bound = await listenHttp(enrolmentApp, config.enrolmentHost, config.enrolmentPort, "joining devices");
    address.enrolmentUrl = `https://${config.publicHost}:${new URL(bound).port}`;

    const gate = new Gate({ access, audit, clock, log });
    const loopback = ["127.0.0.1", "::1", "localhost"].includes(config.httpHost);
    const app = await newServer({ title: "Muster", version: hubVersion, tls: loopback ? undefined : tls, gate, log });
    closers.push(() => app.close());
    listeners.onChange((next) => useCertificate(app, next));
    const status = async (): Promise<HubStatus> => {
      const fleet = await devices.list();
      return {
        version: hubVersion,
        startedMs,
        devices: { total: fleet.length, online: fleet.filter(({ online }) => online).length },
        models: new Set((await catalog.list()).map(({ model }) => model)).size,
        activeRollouts: await rollouts.activeCount(),
        storage: { artifacts: artifacts.held, unknown: garbage.unknown, uploads: uploads.held },
        mqttUrl: link.url,
        enrolmentUrl: address.enrolmentUrl,
        counters: {
          ...gate.counters(),
          ...link.counters(),
          ...taken.counters(),
          ...certificates.counters(),
          ...garbage.counters(),
          ...pulls.counters(),
          "upload-refused": uploads.refused,
          "engine-files-refused": pulled.refused,
          "transfer-refused": transfers.refused,
          "artifact-bytes-sent": transfers.sentBytes,
        },
      };
    };
    statusRoutes(app, status);
    trustRoutes(app, trust, desired, audit);
    accessRoutes(app, access, audit);
    deviceRoutes(app, devices, enrolment, audit);
    const removal = new Removal({ catalog, devices, garbage, publishing, rollouts, log });
    modelRoutes(app, { catalog, publishing, encodings, removal, audit }, maxArtifactBytes);
    engineRoutes(app, sharing, audit);
    rolloutRoutes(app, rollouts, audit);
    telemetryRoutes(app, { telemetry, events, drift, devices });
    const apiUrl = await listenHttp(app, config.httpHost, config.httpPort, "the HTTP API");

    closers.push(every(config.tickMs, () => rollouts.tick(), log, "rollout.tick"));
    // Certificates expire, and overlaps end, also on connections that last.
    const recheck = async () => {
      await revocations?.refresh();
      link.recheck();
    };
    closers.push(every(config.tickMs, recheck, log, "link.recheck"));
    closers.push(every(60_000, () => listeners.refresh(), log, "listener.refresh"));
    closers.push(
      every(3_600_000, () => telemetry.prune(config.keepTelemetryMs, config.maxTelemetryRows), log, "telemetry.prune"),
    );
    closers.push(every(3_600_000, () => publishing.forgetUnused(), log, "uploads.forget"));
    closers.push(every(3_600_000, () => engineIntake.forgetUnused(), log, "pulled.forget"));
    closers.push(every(60_000, () => garbage.sweepIfDue(), log, "garbage.sweep"));
    closers.push(every(3_600_000, () => access.forgetExpired(), log, "tokens.forget"));
    closers.push(every(3_600_000, () => trust.renewIfDue(), log, "trust.renew"));
    closers.push(every(Math.min(config.desiredValidMs / 8, 3_600_000), () => desired.renew(), log, "desired.renew"));
    encodings.kick();
    await events.append(undefined, "hub.started", { version: hubVersion });
    log.info("hub.started", { apiUrl, mqttUrl: link.url, enrolmentUrl: address.enrolmentUrl, dataDir: config.dataDir });
    return { apiUrl, mqttUrl: link.url, enrolmentUrl: address.enrolmentUrl, newToken, close };
  } catch (error) {
    await close();
    throw error;
  }
}
