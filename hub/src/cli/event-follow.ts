import { EventList } from "@muster/shared";
import type { ApiClient, Query } from "./api-client.js";
import { eventLine } from "./event-view.js";
import { Patience } from "./patience.js";
import type { Session } from "./session.js";

const pollMs = 1000;
const pageEvents = 1000;

/** Prints the newest events and then every further one. Returns when the user presses Ctrl-C. */
export async function followEvents(api: ApiClient, query: Query, session: Session): Promise<void> {
  const signal = session.io.interrupted();
  const patience = new Patience(session, (text) => session.note(text));
  let after: number | undefined;
  try {
    for (;;) {
      const page = after === undefined ? query : { ...query, after, limit: pageEvents };
      const { value, raw } = await patience.ask(() => api.get("/v1/telemetry/events", EventList, page, signal), signal);
      const { events: rawEvents } = raw as { events: unknown[] };
      for (const [at, event] of value.events.entries()) {
        session.showNext(rawEvents[at], () => eventLine(event, session.style));
      }
      after = value.events.at(-1)?.id ?? after ?? 0;
      if (value.events.length < pageEvents) await session.io.clock.sleep(pollMs, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
