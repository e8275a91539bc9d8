import { type Clock, MusterError, type SourceReport } from "@muster/shared";
import type { HttpAnswer, HttpCaller } from "../ports.js";
import type { HttpSource as HttpSettings } from "./feed-settings.js";
import { type Intake, maxInputBytes } from "./intake.js";
import { authorization, type Environment, readPem } from "./secret.js";
import type { Source } from "./source.js";
import { SourceLoop } from "./source-loop.js";

export interface HttpSourceDeps {
  readonly settings: HttpSettings;
  readonly intake: Intake;
  readonly call: HttpCaller;
  readonly env: Environment;
  readonly clock: Clock;
}

const retry = { baseMs: 1000, capMs: 60_000 };

/**
 * Fetches a picture again and again, at a steady pace, and answers it when it is a new one: it asks with what the server
 * said of the picture before (ETag, Last-Modified), so that one that did not change costs a few bytes.
 */
export class HttpSource implements Source {
  readonly #deps: HttpSourceDeps;
  readonly #loop: SourceLoop;
  /** Headers that ask for a newer picture than the one that was answered last. */
  #newerThan: Readonly<Record<string, string>> = {};

  constructor(deps: HttpSourceDeps) {
    this.#deps = deps;
    const { intake, clock, settings } = deps;
    this.#loop = new SourceLoop({ intake, clock, retry, leastMs: settings.everyMs, work: (good) => this.#look(good) });
  }

  status(): SourceReport {
    return this.#deps.intake.report();
  }

  async close(): Promise<void> {
    this.#loop.stop();
    await this.#loop.over();
  }

  async #look(good: () => void): Promise<number> {
    const { settings, clock } = this.#deps;
    const startMs = clock.steady();
    await this.#fetch();
    good();
    return Math.max(0, settings.everyMs - (clock.steady() - startMs));
  }

  async #fetch(): Promise<void> {
    const { settings, intake, call, env } = this.#deps;
    const { url, timeoutMs, auth, caFile } = settings;
    const answer = await call({
      ...{ method: "GET", url, timeoutMs, maxBytes: maxInputBytes, signal: this.#loop.signal },
      headers: { ...this.#newerThan, ...(await authorization(auth, env)) },
      ...(caFile === undefined ? {} : { ca: await readPem(caFile) }),
    });
    if (answer.status === 304) return intake.standing.running();
    if (answer.status !== 200) throw new MusterError("source/failed", refusal(answer));
    intake.standing.running();
    const taken = await intake.take({ name: answer.headers.etag ?? "snapshot", bytes: answer.body }, this.#loop.signal);
    if (taken !== "closing") this.#newerThan = validators(answer);
  }
}

function validators({ headers }: HttpAnswer): Record<string, string> {
  const { etag, "last-modified": modified } = headers;
  return {
    ...(etag === undefined ? {} : { "if-none-match": etag }),
    ...(modified === undefined ? {} : { "if-modified-since": modified }),
  };
}

function refusal({ status, headers }: HttpAnswer): string {
  if (status >= 300 && status < 400 && headers.location !== undefined)
    return `the server answers ${status} and sends elsewhere; put the address itself into 'url'`;
  if (status === 401 || status === 403) return `the server answers ${status}: look at 'auth'`;
  return `the server answers ${status}`;
}
