import { randomBytes } from "node:crypto";
import {
  type Clock,
  type CreateInvite,
  type Device,
  type Envelope,
  type Invite,
  type JoinReply,
  type JoinRequest,
  type Labels,
  type Log,
  MusterError,
  messageOf,
  type RevokeCertificates,
  sha256,
} from "@muster/shared";
import type { Audit } from "./audit.js";
import type { Certificates } from "./certificates.js";
import { AttemptLimit, TooManyAttemptsError } from "./core/attempt-limit.js";
import { inScope } from "./core/permission.js";
import type { Devices } from "./devices.js";
import type { EventLog } from "./events.js";
import type { DeviceLink, Pki } from "./ports.js";
import type { Database } from "./store/sql.js";

export interface EnrolmentDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly devices: Devices;
  readonly events: EventLog;
  readonly certificates: Certificates;
  /** What devices have to know of this hub. */
  readonly hub: {
    readonly link: DeviceLink;
    readonly trust: Pick<Pki, "serverCa" | "pin">;
    /** Every root of this hub, oldest first. */
    readonly roots: Envelope[];
    readonly enrolmentUrl: string;
    readonly audit: Audit;
    readonly log: Log;
  };
}

/** What an invitation lets in. */
interface Invited {
  readonly labels: Labels;
  readonly again: boolean;
  /** That of who made it. */
  readonly scope: string;
}

/** How devices come into the fleet and leave it. */
export class Enrolment {
  readonly #deps: EnrolmentDeps;
  readonly #attempts = new AttemptLimit();

  constructor(deps: EnrolmentDeps) {
    this.#deps = deps;
  }

  /** An invitation; its secret is stored only as a hash. The token also carries the digest of the hub's CA. */
  async invite(
    { device, labels, uses, validMs, again }: CreateInvite,
    issuer: { readonly user: string; readonly scope: string },
  ): Promise<Invite> {
    const { db, clock, devices, hub } = this.#deps;
    if (again) {
      if (device === undefined) throw new MusterError("request/invalid", "device: say which device is to join again");
      await devices.get(device);
    }
    // Hex, because the token is pasted into a command line: it must not begin with a dash.
    const secret = randomBytes(24).toString("hex");
    const expiresMs = clock.now() + validMs;
    await db.deleteFrom("invites").where("expires_ms", "<=", clock.now()).execute();
    await db
      .insertInto("invites")
      .values({
        secret_hash: sha256(secret),
        device: device ?? null,
        labels: JSON.stringify(labels),
        uses_left: uses,
        expires_ms: expiresMs,
        created_ms: clock.now(),
        again: again ? 1 : 0,
        issuer: issuer.user,
        scope: issuer.scope,
      })
      .execute();
    const token = `${secret}.${hub.trust.pin}`;
    const name = device === undefined ? "" : ` --device ${device}${again ? " --again" : ""}`;
    return {
      url: hub.enrolmentUrl,
      token,
      expiresMs,
      command: `muster-agent join ${hub.enrolmentUrl} ${token}${name}`,
    };
  }

  /**
   * Takes a device in for its invitation and signs its key. Throws `invite/refused`, `device/exists`,
   * `request/invalid`; a refused request uses the invitation up only when it got so far as to be one.
   */
  async join({ secret, device, labels, ...asked }: JoinRequest, from: string): Promise<JoinReply> {
    const { certificates, devices, events, hub } = this.#deps;
    const invitation = await this.#use(secret, device).catch((error) => this.#refused(device, from, error));
    let taken = false;
    try {
      const issued = await certificates.sign(device, asked);
      // Of who has only a part of the fleet, an invitation says all: labels a device brings could lead elsewhere.
      const own = invitation.scope === "" ? labels : {};
      if (invitation.again) await this.#joinAgain(device, invitation);
      else await devices.add(device, { ...own, ...invitation.labels });
      await certificates.adopt(device, issued);
      taken = true;
      if (invitation.again) hub.link.recheck();
      const { certificate, serial } = issued;
      const event = invitation.again ? "device.rejoined" : "device.joined";
      await events.append(device, event, { from, serial });
      hub.log.info(event, { device, from });
      const change = { action: invitation.again ? "device.rejoin" : "device.join", subject: device };
      await hub.audit.change({ user: `device:${device}`, address: from }, change, async () => ({ serial }));
      return { certificate, ca: hub.trust.serverCa, mqttUrl: hub.link.url, roots: hub.roots };
    } catch (error) {
      // What has let a device in is used up, whatever failed after it.
      if (!taken) await this.#giveBack(secret);
      throw error;
    }
  }

  /** What the invitation's issuer might do when it was made has to hold still. */
  async #joinAgain(device: string, { labels, scope }: Invited): Promise<void> {
    const { devices } = this.#deps;
    if (!inScope(scope, device, (await devices.get(device)).labels)) {
      throw new MusterError("invite/refused", `device ${device} is no longer among those this join token may let in`);
    }
    await devices.label(device, { set: labels, remove: [] });
  }

  /** Takes a device out of the fleet, cuts its connection and forgets what it measured. */
  async remove(device: string): Promise<void> {
    await this.#deps.devices.remove(device);
    await this.#deps.certificates.forget(device);
    this.#deps.hub.link.kick(device);
    await this.#deps.events.append(undefined, "device.removed", { device });
  }

  /** One device and its certificates. Throws `device/unknown`. */
  async show(device: string): Promise<Device> {
    const { devices, certificates } = this.#deps;
    return { ...(await devices.get(device)), certificates: certificates.list(device) };
  }

  /** Refuses certificates of a device from now on, also on the connection it has. Throws `device/unknown`, `certificate/unknown`. */
  async revoke(device: string, revoked: RevokeCertificates): Promise<Device> {
    await this.#deps.certificates.revoke(device, revoked);
    // A stolen device may know an invitation for its name.
    await this.#deps.db.deleteFrom("invites").where("device", "=", device).execute();
    this.#deps.hub.link.recheck();
    return this.show(device);
  }

  /** Every refusal is an event until an address makes too many; then one per pause, so that it cannot fill the store. */
  async #refused(device: string, from: string, error: unknown): Promise<never> {
    const { clock, events } = this.#deps;
    const waitMs = this.#attempts.waitMs(from, clock.now());
    if (waitMs > 0) throw new TooManyAttemptsError(waitMs);
    const failures = this.#attempts.failed(from, clock.now());
    await events.append(undefined, "device.join-refused", { device, from, failures, reason: messageOf(error) });
    throw error;
  }

  async #use(secret: string, device: string): Promise<Invited> {
    const { db, clock } = this.#deps;
    return db.transaction().execute(async (tx) => {
      const row = await tx
        .selectFrom("invites")
        .selectAll()
        .where("secret_hash", "=", sha256(secret))
        .executeTakeFirst();
      if (row === undefined || row.uses_left < 1 || row.expires_ms <= clock.now()) {
        throw new MusterError(
          "invite/refused",
          "this join token is unknown, used up or expired; ask for a new one: muster device invite",
        );
      }
      if (row.device !== null && row.device !== device) {
        throw new MusterError(
          "invite/refused",
          `this join token is for device ${row.device}; join with --device ${row.device}`,
        );
      }
      await tx
        .updateTable("invites")
        .set({ uses_left: row.uses_left - 1 })
        .where("secret_hash", "=", row.secret_hash)
        .execute();
      return { labels: JSON.parse(row.labels) as Labels, again: row.again === 1, scope: row.scope };
    });
  }

  async #giveBack(secret: string): Promise<void> {
    await this.#deps.db
      .updateTable("invites")
      .set(({ eb }) => ({ uses_left: eb("uses_left", "+", 1) }))
      .where("secret_hash", "=", sha256(secret))
      .execute();
  }
}
