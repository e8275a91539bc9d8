import { messageOf } from "@muster/shared";
import type { ProviderProbe } from "../ports.js";

answer(await probe());

async function probe(): Promise<ProviderProbe> {
  try {
    const { installedProviders, runtimeVersion } = await import("@muster/shared/inference");
    return { version: `ONNX Runtime ${runtimeVersion()}`, working: installedProviders() };
  } catch (error) {
    return { version: "unknown", working: [], error: `ONNX Runtime cannot be loaded: ${messageOf(error)}` };
  }
}

function answer(probed: ProviderProbe): void {
  process.send?.(probed, () => process.disconnect());
}
