/** What requests add up to: counts, tokens, and how long they took, from groups that days were counted in. */
import type { ActivityStats, StatsQuery } from './model';
import type { StatsGroup } from './query';

export interface Sums {
  requests: number;
  errors: number;
  promptTokens: number;
  completionTokens: number;
  /** Requests by their duration. */
  readonly durations: Map<number, number>;
}

export function newSums(): Sums {
  return { requests: 0, errors: 0, promptTokens: 0, completionTokens: 0, durations: new Map() };
}

export function addGroup(sums: Sums, group: StatsGroup): void {
  sums.requests += group.requests;
  sums.errors += group.errors;
  sums.promptTokens += group.promptTokens;
  sums.completionTokens += group.completionTokens;
  sums.durations.set(group.durationMs, (sums.durations.get(group.durationMs) ?? 0) + group.requests);
}

export function statsOf(
  { by, sinceMs, untilMs }: StatsQuery,
  groups: ReadonlyMap<string | null, Sums>,
  total: Sums,
  refused: number,
): ActivityStats {
  const items = [...groups].map(([name, sums]) => ({ name, ...viewOf(sums) }));
  return {
    by,
    since: sinceMs === null ? null : new Date(sinceMs).toISOString(),
    until: untilMs === null ? null : new Date(untilMs).toISOString(),
    items: items.sort((a, b) =>
      by === 'day' ? String(a.name).localeCompare(String(b.name)) : b.requests - a.requests,
    ),
    total: viewOf(total),
    refused,
  };
}

function viewOf(sums: Sums): ActivityStats['total'] {
  return {
    requests: sums.requests,
    errors: sums.errors,
    prompt_tokens: sums.promptTokens,
    completion_tokens: sums.completionTokens,
    p50_ms: percentile(sums, 0.5),
    p95_ms: percentile(sums, 0.95),
  };
}

/** The least duration that a share of the requests did not exceed. */
function percentile({ durations, requests }: Sums, share: number): number | null {
  let seen = 0;
  for (const [durationMs, count] of [...durations].sort(([a], [b]) => a - b)) {
    seen += count;
    if (seen >= requests * share) return durationMs;
  }
  return null;
}
