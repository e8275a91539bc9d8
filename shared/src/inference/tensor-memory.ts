import type { DataType } from "../model/tensors.js";
import { holds, newTensorData, type TensorData } from "./named-tensor.js";

/** Where the numbers of tensors are written that one run takes. */
export interface TensorMemory {
  /** Room for so many numbers of a type; what it holds is left from its last use. */
  room(dtype: DataType, length: number): TensorData;
}

/** New memory for every tensor. */
export const freshMemory: TensorMemory = { room: newTensorData };

/**
 * The memory of the last batch for the next one. Taken from the system anew for each picture, its pages cost as much as to
 * fill them. No more is kept than the last batch took.
 */
export class KeptMemory implements TensorMemory {
  #free: TensorData[] = [];
  #used: TensorData[] = [];

  /** A batch begins: whatever was given out so far is used again. */
  begin(): void {
    this.#free = this.#used;
    this.#used = [];
  }

  room(dtype: DataType, length: number): TensorData {
    const at = this.#free.findIndex((piece) => piece.length === length && holds(piece, dtype));
    const [piece = newTensorData(dtype, length)] = at === -1 ? [] : this.#free.splice(at, 1);
    this.#used.push(piece);
    return piece;
  }
}
