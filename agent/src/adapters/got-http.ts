import { MusterError } from "@muster/shared";
import got from "got";
import type { HttpAnswer, HttpRequest } from "../ports.js";

interface ReceivedHead {
  readonly statusCode: number;
  readonly headers: NodeJS.Dict<string | string[]>;
}

/** {@link HttpCaller} by got. */
export async function callHttp(request: HttpRequest): Promise<HttpAnswer> {
  const { method, url, headers, body, timeoutMs, maxBytes, ca, signal } = request;
  const stream = got.stream(url, {
    method,
    headers: { "user-agent": "muster-agent", ...headers },
    ...(body === undefined ? {} : { body }),
    ...(ca === undefined ? {} : { https: { certificateAuthority: ca } }),
    timeout: { request: timeoutMs },
    retry: { limit: 0 },
    throwHttpErrors: false,
    followRedirect: false,
    // What is small on the line could be huge when unpacked.
    decompress: false,
  });
  let answer: Omit<HttpAnswer, "body"> = { status: 0, headers: {} };
  stream.on("response", ({ statusCode, headers: received }: ReceivedHead) => {
    const flat = Object.entries(received).map(([name, value]) => [name, value?.toString()]);
    answer = { status: statusCode, headers: Object.fromEntries(flat) };
  });
  // got goes on to listen to a signal when the call is over, and fails then with nobody to hear it.
  const abort = () => void stream.destroy(new Error("the call was given up"));
  signal?.addEventListener("abort", abort);
  if (signal?.aborted === true) abort();
  try {
    return { body: await collect(stream, maxBytes), ...answer };
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

async function collect(stream: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of stream) {
    sizeBytes += chunk.length;
    // Leaving the loop ends the connection.
    if (sizeBytes > maxBytes) throw new MusterError("source/failed", `the answer has more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
