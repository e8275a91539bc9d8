import { laneId, maxLanes, parseClientId } from "@muster/shared";
import type { Client } from "aedes";

/** The connections of devices and their lanes, by what they call themselves. */
export class AedesClients {
  readonly #clients = new Map<string, Client>();
  readonly #laneIds = new Set<string>();

  /** How many lanes all devices have together. */
  get lanes(): number {
    return this.#laneIds.size;
  }

  /** A device's own connection, or one of its lanes. */
  of(device: string, lane = 0): Client | undefined {
    return this.#clients.get(lane === 0 ? device : laneId(device, lane));
  }

  /** Every connection, with the device it is of. */
  *all(): Generator<{ readonly device: string; readonly client: Client }> {
    for (const [id, client] of this.#clients) yield { device: parseClientId(id)?.device ?? id, client };
  }

  /** Whether it is the connection of that name now. */
  has(client: Client): boolean {
    return this.#clients.get(client.id) === client;
  }

  /**
   * Notes a connection in place of the one of its name before; false when it has ended already, because one that takes a
   * name over and is closed at once is told as gone first, and as there after that.
   */
  enter(client: Client): boolean {
    if (client.closed) return false;
    this.#clients.set(client.id, client);
    if (isLane(client)) this.#laneIds.add(client.id);
    return true;
  }

  /** Forgets a connection; false when another one has its name. Of one that was taken over aedes does not tell the end. */
  leave(client: Client): boolean {
    const known = this.#clients.get(client.id);
    if (known === undefined || (known !== client && !known.closed)) return false;
    this.#clients.delete(client.id);
    this.#laneIds.delete(client.id);
    return true;
  }

  /** Ends a device's own connection and its lanes. */
  end(device: string): void {
    this.of(device)?.conn.destroy();
    this.endLanes(device);
  }

  endLanes(device: string): void {
    for (let lane = 1; lane <= maxLanes; lane += 1) this.of(device, lane)?.conn.destroy();
  }
}

/** Whether a connection is a lane, as its name tells. */
export function isLane({ id }: Client): boolean {
  return id.includes(".");
}
