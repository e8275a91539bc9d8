import { type BuiltEngine, EngineHardware, engineClass, MusterError, type ShareEngine } from "@muster/shared";
import type { Catalog } from "./catalog.js";
import type { Devices } from "./devices.js";
import { builtOf } from "./engine-view.js";

/** An engine that may be shared: what, of which model file, and for which devices. */
export interface Candidate {
  readonly request: ShareEngine;
  readonly device: string;
  readonly built: BuiltEngine;
  readonly engineClass: string;
  readonly hardware: EngineHardware;
}

/**
 * What a request asks to share, as the device has reported it. Throws `device/unknown`, `model/unknown`, `engine/unknown` when
 * the device holds no such engine, or `request/invalid` when it must not be shared.
 */
export async function candidateOf(
  request: ShareEngine,
  { catalog, devices }: { readonly catalog: Pick<Catalog, "get">; readonly devices: Pick<Devices, "get"> },
): Promise<Candidate> {
  const { model, version: name, device } = request;
  const { hardware, reported } = await devices.get(device);
  const version = await catalog.get(model, name);
  const said = reported?.models.find((entry) => entry.model === model);
  const built = said && builtOf(said, version);
  const what = `${model} ${name}`;
  if (built === undefined)
    throw new MusterError("engine/unknown", `${device} holds no engine of ${what}; see: muster engine ls`);
  if (built.variant.artifact.encryption !== undefined) {
    const why = "an engine of it holds its weights in the clear and is never shared";
    throw new MusterError("request/invalid", `${what} is encrypted: ${why}`);
  }
  const own = hardware && engineClass(hardware);
  if (hardware === undefined || own === undefined)
    throw new MusterError("engine/unknown", `${device} does not say which ONNX Runtime it has; update its agent`);
  return { request, device, built: built.engine, engineClass: own, hardware: EngineHardware.parse(hardware) };
}
