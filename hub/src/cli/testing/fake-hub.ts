import { buffer } from "node:stream/consumers";
import type { TestContext } from "node:test";
import { sha256 } from "@muster/shared";
import fastify from "fastify";

/** What a canned route is asked. */
export interface Asked {
  readonly query: Readonly<Record<string, string>>;
  readonly body: unknown;
  /** How often this route was asked before. */
  readonly before: number;
}

/** Answers by `METHOD /path`: a JSON body, or a status with one. */
export type Routes = Readonly<Record<string, (asked: Asked) => unknown>>;

export interface FakeHub {
  readonly url: string;
  /** Every request, as `METHOD /path?query`. */
  readonly calls: string[];
  /** Uploaded bytes by digest; fill it for what the hub has already. */
  readonly uploads: Map<string, Buffer>;
}

/** An answer with a status of its own. */
export class Refusal {
  readonly status: number;
  readonly body: unknown;

  constructor(status: number, code: string, message: string) {
    this.status = status;
    this.body = { error: { code, message, problems: [] } };
  }
}

/** A real HTTP server that takes uploads and answers everything else as it is told. */
export async function startFakeHub(t: TestContext, routes: Routes = {}): Promise<FakeHub> {
  const app = fastify({ forceCloseConnections: true });
  const calls: string[] = [];
  const uploads = new Map<string, Buffer>();
  const counts = new Map<string, number>();
  app.addContentTypeParser("application/octet-stream", (_request, payload, done) => done(null, payload));
  app.addHook("onRequest", async ({ method, url }) => void calls.push(`${method} ${url}`));
  app.head<{ Params: { digest: string } }>("/v1/uploads/:digest", async ({ params }, reply) => {
    return reply.status(uploads.has(params.digest) ? 200 : 404).send();
  });
  app.put<{ Params: { digest: string } }>("/v1/uploads/:digest", async ({ params, body }) => {
    const bytes = await buffer(body as NodeJS.ReadableStream & AsyncIterable<Uint8Array>);
    uploads.set(sha256(bytes), bytes);
    return { digest: params.digest, sizeBytes: bytes.length };
  });
  app.setNotFoundHandler(async ({ method, url, query, body }, reply) => {
    const key = `${method} ${url.split("?")[0]}`;
    const route = routes[key];
    if (route === undefined) return reply.status(404).send(new Refusal(404, "request/not-found", `no ${key}`).body);
    const before = counts.get(key) ?? 0;
    counts.set(key, before + 1);
    const answer = route({ query: query as Record<string, string>, body, before });
    if (answer instanceof Refusal) return reply.status(answer.status).send(answer.body);
    return answer === undefined ? reply.status(204).send() : reply.status(200).send(answer);
  });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  t.after(() => app.close());
  return { url, calls, uploads };
}
