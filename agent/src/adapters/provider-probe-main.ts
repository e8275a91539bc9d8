/**
 * A process that loads ONNX Runtime: says what it is, or, given the name of a provider, why that does not work. What it
 * says it sends to its parent; what it does not survive, its parent sees.
 */
import { messageOf } from "@muster/shared";
import type { ProviderAnswer, RuntimeAnswer } from "./provider-probe.js";

const [, , provider] = process.argv;
const answer = provider === undefined ? await aboutRuntime() : await aboutProvider(provider);
process.send?.(answer, () => process.exit(0));

async function aboutRuntime(): Promise<RuntimeAnswer> {
  try {
    const { installedProviders, knownProviders, runtimeBuild, runtimeVersion } = await import(
      "@muster/shared/inference"
    );
    return {
      ...{ version: runtimeVersion(), build: runtimeBuild() },
      ...{ known: knownProviders(), bundled: installedProviders() },
    };
  } catch (error) {
    return { error: messageOf(error) };
  }
}

async function aboutProvider(name: string): Promise<ProviderAnswer> {
  try {
    const { providerFault } = await import("@muster/shared/inference");
    const fault = await providerFault(name);
    return fault === undefined ? {} : { fault };
  } catch (error) {
    return { fault: messageOf(error) };
  }
}
