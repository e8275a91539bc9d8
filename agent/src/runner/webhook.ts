import { createHmac } from "node:crypto";
import { type Clock, MusterError } from "@muster/shared";
import type { HttpAnswer, HttpCaller } from "../ports.js";
import { shownAddress, type WebhookSink } from "./feed-settings.js";
import { authorization, type Environment, readPem, readSecret } from "./secret.js";
import type { SinkRecord } from "./sink.js";
import { type Delivery, Postponed } from "./spooled-sink.js";

export interface WebhookDeps {
  readonly settings: WebhookSink;
  readonly call: HttpCaller;
  readonly env: Environment;
  readonly clock: Clock;
}

/** Nothing of the answer is used. */
const maxAnswerBytes = 1_000_000;
/** These say that the very contents are at fault; all else may be put right at the receiver. */
const forGood = [400, 413, 422];

/** Posts answers as `{ answers: […] }`. A signed request says when it was signed, so that a copy of it grows old. */
export class Webhook implements Delivery {
  readonly type = "webhook";
  readonly target: string;
  readonly batch: number;
  readonly #deps: WebhookDeps;

  constructor(deps: WebhookDeps) {
    this.#deps = deps;
    this.target = shownAddress(deps.settings.url);
    this.batch = deps.settings.batch;
  }

  async deliver(records: readonly SinkRecord[], signal: AbortSignal): Promise<void> {
    const { settings, call, env } = this.#deps;
    const { url, timeoutMs, auth, caFile } = settings;
    const body = JSON.stringify({ answers: records });
    const answer = await call({
      ...{ method: "POST", url, timeoutMs, body, maxBytes: maxAnswerBytes, signal },
      headers: {
        "content-type": "application/json",
        ...(await this.#signature(body)),
        ...(await authorization(auth, env)),
      },
      ...(caFile === undefined ? {} : { ca: await readPem(caFile) }),
    });
    this.#judge(answer);
  }

  async close(): Promise<void> {}

  #judge({ status, headers }: HttpAnswer): void {
    if (status >= 200 && status < 300) return;
    const message = `the receiver answers ${status}`;
    if (forGood.includes(status)) throw new MusterError("sink/refused", message);
    const afterMs = waitAsked(headers["retry-after"], this.#deps.clock.now());
    if (afterMs !== undefined) throw new Postponed(message, afterMs);
    throw new MusterError("sink/failed", message);
  }

  async #signature(body: string): Promise<Record<string, string>> {
    const { settings, env, clock } = this.#deps;
    if (settings.signWith === undefined) return {};
    const secret = await readSecret(settings.signWith, env);
    return { "muster-signature": signatureOf(body, secret, Math.floor(clock.now() / 1000)) };
  }
}

/**
 * `t=SECONDS,v1=HEX`: the time in seconds since the epoch, and HMAC-SHA256 (RFC 2104) over that time, a full stop and
 * the body, under the secret's UTF-8 bytes.
 */
export function signatureOf(body: string, secret: string, seconds: number): string {
  return `t=${seconds},v1=${createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex")}`;
}

/** The milliseconds of a Retry-After, in seconds or as a date (RFC 9110, 10.2.3). */
function waitAsked(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const untilMs = Date.parse(header);
  return Number.isNaN(untilMs) ? undefined : Math.max(0, untilMs - nowMs);
}
