import { createReadStream } from "node:fs";
import { MusterError, parseWith, UploadState } from "@muster/shared";
import { type Got, got, RequestError, type Response } from "got";
import type { z } from "zod";
import { type Answer, printable } from "./answer.js";
import { brokenConnection, refusedRequest } from "./api-errors.js";
import type { Connection } from "./config.js";

/** Parameters of a query; undefined ones are left out. */
export type Query = Readonly<Record<string, string | number | undefined>>;

interface Call {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Query;
  readonly json?: unknown;
  readonly upload?: Upload;
  readonly signal?: AbortSignal | undefined;
}

/** A file on its way to the hub. */
export interface Upload {
  readonly file: string;
  readonly digest: string;
  readonly sizeBytes: number;
  /** Told how many bytes of it have been sent so far. */
  readonly onSent: (bytes: number) => void;
}

/** Speaks to the hub's API. Every method throws the hub's own error, or `hub/unreachable`. */
export class ApiClient {
  readonly #connection: Connection;
  readonly #got: Got;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#got = got.extend({
      followRedirect: false,
      throwHttpErrors: false,
      retry: { limit: 0 },
      // A push makes the hub cut, sign and try the model before it answers.
      timeout: { lookup: 10_000, connect: 10_000, secureConnect: 10_000, socket: 900_000 },
      headers: connection.token === undefined ? {} : { authorization: `Bearer ${connection.token}` },
      ...(connection.ca === undefined ? {} : { https: { certificateAuthority: connection.ca } }),
    });
  }

  get<S extends z.ZodType>(path: string, schema: S, query: Query = {}, signal?: AbortSignal) {
    return this.#answer(schema, { method: "GET", path, query, signal });
  }

  post<S extends z.ZodType>(path: string, schema: S, json: unknown) {
    return this.#answer(schema, { method: "POST", path, json });
  }

  patch<S extends z.ZodType>(path: string, schema: S, json: unknown) {
    return this.#answer(schema, { method: "PATCH", path, json });
  }

  async delete(path: string): Promise<void> {
    await this.#call({ method: "DELETE", path });
  }

  /** Whether the hub has the bytes of this digest. */
  async has(digest: string, signal?: AbortSignal): Promise<boolean> {
    const call: Call = { method: "HEAD", path: `/v1/uploads/${digest}`, signal };
    const response = await this.#send(call);
    if (response.statusCode === 404) return false;
    if (!response.ok) throw this.#refused(call, response);
    return true;
  }

  /** Sends a file, read from the disk as it goes. */
  async upload(upload: Upload, signal?: AbortSignal): Promise<void> {
    await this.#answer(UploadState, { method: "PUT", path: `/v1/uploads/${upload.digest}`, upload, signal });
  }

  async #answer<S extends z.ZodType>(schema: S, call: Call): Promise<Answer<z.output<S>>> {
    const { body } = await this.#call(call);
    const what = `the answer of ${this.#connection.hub} to ${call.method} ${call.path}`;
    let raw: unknown;
    try {
      raw = JSON.parse(body);
    } catch (cause) {
      throw new MusterError("internal", `${what} is not JSON; is this the address of a Muster hub?`, { cause });
    }
    return { raw, value: printable(parseWith(schema, raw, "internal", what)) };
  }

  async #call(call: Call): Promise<Response<string>> {
    const response = await this.#send(call);
    if (!response.ok) throw this.#refused(call, response);
    return response;
  }

  async #send(call: Call): Promise<Response<string>> {
    const { method, path, query = {}, json, upload, signal } = call;
    const url = new URL(`${this.#connection.hub}${path}`);
    for (const [key, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(key, String(value));
    }
    const stream = upload === undefined ? undefined : createReadStream(upload.file);
    const request = this.#got(url, {
      method,
      ...(json === undefined ? {} : { json }),
      ...(signal === undefined ? {} : { signal }),
      ...(upload === undefined || stream === undefined ? {} : { body: stream, headers: lengthOf(upload) }),
    });
    if (upload !== undefined) request.on("uploadProgress", ({ transferred }) => upload.onSent(transferred));
    try {
      return await request;
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof RequestError)) throw error;
      throw brokenConnection(this.#connection.hub, error.code, error);
    } finally {
      stream?.destroy();
    }
  }

  #refused({ method, path }: Call, { statusCode, statusMessage, body }: Response<string>): MusterError {
    const { hub, token } = this.#connection;
    const what = `${hub} answered ${method} ${path} with ${statusCode} ${statusMessage ?? ""}`.trim();
    return refusedRequest(statusCode, body, what, token !== undefined);
  }
}

function lengthOf({ sizeBytes }: Upload): Record<string, string> {
  return { "content-type": "application/octet-stream", "content-length": String(sizeBytes) };
}
