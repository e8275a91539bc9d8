import type { Manifest } from "@muster/shared";
import type { NamedTensor } from "@muster/shared/inference";
import type { WireError } from "../wire-error.js";
import type { TensorRequest } from "./infer-request.js";

/** The names that an answer begins with. */
export interface Answering {
  readonly model: string;
  readonly version: string;
}

/** What the thread is to do. */
export type ToJson =
  | {
      readonly kind: "read";
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly tensors: Manifest["tensors"];
      /** The model's own pipeline takes JSON as well, which is not to be read as a request then. */
      readonly orPlain: boolean;
    }
  | {
      readonly kind: "write";
      readonly of: Answering;
      readonly request: Pick<TensorRequest, "id" | "outputs">;
      readonly tensors: readonly NamedTensor[];
    };

/** What it has done. */
export type FromJson =
  | { readonly kind: "read"; readonly request: TensorRequest | "plain" }
  | { readonly kind: "written"; readonly json: Uint8Array<ArrayBuffer>; readonly binary: readonly Uint8Array[] }
  | { readonly kind: "failed"; readonly error: WireError };
