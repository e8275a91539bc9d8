import { MusterError } from "@muster/shared";
import got from "got";
import type { HttpAnswer, HttpRequest } from "../ports.js";

/** {@link HttpCaller} by got. */
export async function callHttp(request: HttpRequest): Promise<HttpAnswer> {
  const { method, url, headers, body, timeoutMs, maxBytes, ca, signal } = request;
  const stream = got.stream(url, {
    method,
    headers: { "user-agent": "muster-agent", ...headers },
    ...(body === undefined ? {} : { body }),
    ...(ca === undefined ? {} : { https: { certificateAuthority: ca } }),
    ...(signal === undefined ? {} : { signal }),
    timeout: { request: timeoutMs },
    retry: { limit: 0 },
    throwHttpErrors: false,
    followRedirect: false,
    // What is small on the line could be huge when unpacked.
    decompress: false,
  });
  let answer: Omit<HttpAnswer, "body"> = { status: 0, headers: {} };
  stream.on(
    "response",
    ({ statusCode, headers: names }: { statusCode: number; headers: NodeJS.Dict<string | string[]> }) => {
      const flat = Object.entries(names).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.join(", ") : value,
      ]);
      answer = { status: statusCode, headers: Object.fromEntries(flat) };
    },
  );
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    // Leaving the loop ends the connection.
    if (sizeBytes > maxBytes) throw new MusterError("source/failed", `the answer has more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return { ...answer, body: Buffer.concat(chunks) };
}
