import { messageOf } from "../errors.js";
import { actualProvider, type NodePlacement } from "./node-placement.js";
import { OnnxSession } from "./onnx-engine.js";

/** An ONNX model of one node: `y = Relu(x)` over float32 [1, 2]. */
const relu = "CAQ6OwoMCgF4EgF5IgRSZWx1EgFnWhMKAXgSDgoMCAESCAoCCAEKAggCYhMKAXkSDgoMCAESCAoCCAEKAggCQgQKABAJ";

/**
 * Why a provider does not work here; undefined when it ran a model of one node itself. Only a real run tells: a build
 * lists providers whose library, driver or device is not there. It may end the process, so call it in one of its own.
 */
export async function providerFault(provider: string): Promise<string | undefined> {
  try {
    const actual = actualProvider(provider, await runOneNode(provider));
    return actual === provider ? undefined : `it starts, but what it is given runs on ${actual}`;
  } catch (error) {
    return messageOf(error);
  }
}

/**
 * Bytes by which this process grows when a provider runs its first model, whatever that is: its libraries, and for a GPU
 * its context there, often a gigabyte. About 0 once it has run one. Throws `engine/failed`.
 */
export async function providerBytes(provider: string): Promise<number> {
  const beforeBytes = process.memoryUsage.rss();
  await runOneNode(provider);
  return Math.max(0, process.memoryUsage.rss() - beforeBytes);
}

async function runOneNode(provider: string): Promise<NodePlacement> {
  const session = await OnnxSession.load(Buffer.from(relu, "base64"), { provider, threads: 1 });
  await session.run([{ name: "x", dtype: "float32", shape: [1, 2], data: new Float32Array([-1, 2]) }]);
  const placement = (await session.placement()) ?? {};
  await session.close();
  return placement;
}
