// The server one would write around the bare libraries: node:http, one process. It takes a JPEG and answers JSON, or the bytes of
// the floats of a tensor and answers those of the output. A {@link BareModel} is answered by the URL.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Bare, type BareModel } from "./bare.js";

process.once("message", (model: BareModel) => {
  serve(model).then((url) => process.send?.(url), failed);
});

async function serve(model: BareModel): Promise<string> {
  const bare = await Bare.load(model);
  const server = createServer((request, response) => {
    answer(bare, model, request, response).catch(failed);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function answer(
  bare: Bare,
  { width, height }: BareModel,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const bytes = Buffer.concat(parts);
  if (request.headers["content-type"] === "image/jpeg") {
    send(response, "application/json", Buffer.from(JSON.stringify(await bare.answer(bytes))));
    return;
  }
  // So many bytes lie in memory of their own, at its start.
  const given = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const data = (await bare.output(given, [1, 3, height, width])).data as Float32Array;
  send(response, "application/octet-stream", Buffer.from(data.buffer, data.byteOffset, data.byteLength));
}

function send(response: ServerResponse, type: string, body: Buffer): void {
  response.writeHead(200, { "content-type": type, "content-length": body.length }).end(body);
}

function failed(error: unknown): void {
  console.error(error);
  process.exit(1);
}
