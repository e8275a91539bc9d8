import assert from "node:assert/strict";
import { type EngineShare, ShareEngine } from "@muster/shared";
import type { engineRooms } from "./engine-rooms.js";

/** Asks for the engine that `a` built of version 1 of `m`. */
export const ask = (over: Partial<ShareEngine> = {}) =>
  ShareEngine.parse({ model: "m", version: "1", device: "a", ...over });
/** Subjects of all that was recorded. */
export const recorded: string[] = [];
/** Makes a change and keeps its subject. */
export const record = async <T>(subject: string, make: () => Promise<T>) => {
  const made = await make();
  recorded.push(subject);
  return made;
};
type Rooms = Awaited<ReturnType<typeof engineRooms>>;

/** Shares and waits for the end of it. */
export async function shared({ sharing }: Rooms, over: Partial<ShareEngine> = {}): Promise<EngineShare> {
  const { id } = await sharing.begin(ask(over), record);
  return ended(sharing, id);
}

/** Waits for the end of a sharing. */
export async function ended(sharing: Rooms["sharing"], id: string): Promise<EngineShare> {
  while (sharing.share(id).state === "fetching") await new Promise(setImmediate);
  return sharing.share(id);
}

/** The engine of an ended sharing. */
export function engineIn(share: EngineShare) {
  if (share.state !== "shared") assert.fail(`the sharing is ${share.state}: ${JSON.stringify(share)}`);
  return share.engine;
}

/** Why a sharing failed. */
export function errorIn(share: EngineShare) {
  if (share.state !== "failed") assert.fail(`the sharing is ${share.state}`);
  return share.error;
}
