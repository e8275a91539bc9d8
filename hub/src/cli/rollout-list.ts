import { type Rollout, RolloutList } from "@muster/shared";
import type { Answer } from "./answer.js";
import type { ApiClient } from "./api-client.js";

/** The most that the API gives at once. */
const pageSize = 200;

/** The newest rollouts, at most so many, asked for page by page; `next` is there when there are older ones. */
export async function listRollouts(api: ApiClient, limit: number): Promise<Answer<RolloutList>> {
  const [values, raws]: [Rollout[], unknown[]] = [[], []];
  let before: string | undefined;
  do {
    const query = { limit: Math.min(pageSize, limit - values.length), before };
    const { value, raw } = await api.get("/v1/rollouts", RolloutList, query);
    values.push(...value.rollouts);
    raws.push(...(raw as { rollouts: unknown[] }).rollouts);
    before = value.next;
  } while (before !== undefined && values.length < limit);
  const next = before === undefined ? {} : { next: before };
  return { value: { rollouts: values, ...next }, raw: { rollouts: raws, ...next } };
}
