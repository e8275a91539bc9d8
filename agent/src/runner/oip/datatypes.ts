import type { TensorSpec } from "@muster/shared";

/** The Open Inference Protocol's names of our data types. */
export const datatypes = {
  float32: "FP32",
  float16: "FP16",
  float64: "FP64",
  uint8: "UINT8",
  int8: "INT8",
  uint16: "UINT16",
  int16: "INT16",
  uint32: "UINT32",
  int32: "INT32",
  uint64: "UINT64",
  int64: "INT64",
  bool: "BOOL",
} as const satisfies Record<TensorSpec["dtype"], string>;
