/**
 * From looks to a status (FLM-044), without time and without network: an engine that misses one look is not gone yet,
 * and one that came back from trouble has to prove itself.
 */
import type { EngineState } from '../contract';
import type { Look } from './examine';

export interface HealthLimits {
  /** Answers that take at least this long make an engine degraded. */
  readonly latencyThresholdMs: number;
  /** Looks in a row without an answer after which an engine counts as gone. */
  readonly maxFailures: number;
}

/** The state of an engine and what its next state depends on. */
export interface Health {
  readonly state: EngineState;
  /** Good looks in a row. */
  readonly goodInARow: number;
}

/** Good looks in a row after which an engine that was in trouble is healthy again. */
export const GOOD_STREAK = 3;

/** What an engine is after one more look at it; `before` is null at the first. */
export function judge(before: Health | null, look: Look, limits: HealthLimits): Health {
  const { found, ...seen } = look;
  const old = before?.state ?? null;
  switch (found) {
    case 'running':
      return judgeAnswer(before, seen, limits);
    case 'faulty':
      return trouble(before, seen, limits, 'error-api');
    case 'working':
      return working(before, seen, limits);
    case 'silent':
      return trouble(before, seen, limits, 'error-network');
    case 'gone':
      return bad({ ...seen, status: 'error-network', consecutiveFailures: failuresAfter(old) });
    case 'other':
      return bad({ ...seen, status: 'error-api', consecutiveFailures: failuresAfter(old) });
    case 'needs-key':
      return bad({ ...seen, status: 'needs-key', consecutiveFailures: 0 });
  }
}

type Answered = Omit<Look, 'found'>;

function judgeAnswer(before: Health | null, seen: Answered, { latencyThresholdMs }: HealthLimits): Health {
  const latencyMs = seen.latencyMs ?? 0;
  if (latencyMs >= latencyThresholdMs) {
    const reason = `it took ${latencyMs} ms to answer`;
    return { state: { ...seen, status: 'running-degraded', reason, consecutiveFailures: 0 }, goodInARow: 0 };
  }
  const goodInARow = (before?.goodInARow ?? 0) + 1;
  // Whoever was not there before, or only lacked a key, has nothing to prove.
  const inTrouble =
    before !== null && (before.state.status === 'running-degraded' || hadProblem(before.state));
  if (!inTrouble || goodInARow >= GOOD_STREAK) {
    return { state: { ...seen, status: 'running-healthy', consecutiveFailures: 0 }, goodInARow };
  }
  const reason = `it was in trouble (${before.state.reason ?? 'without a reason'})`;
  const kept = before.state.status === 'running-degraded' ? before.state.reason : reason;
  return { state: { ...seen, status: 'running-degraded', reason: kept, consecutiveFailures: 0 }, goodInARow };
}

function hadProblem({ status, consecutiveFailures }: EngineState): boolean {
  return status === 'error-api' && consecutiveFailures > 0;
}

/** A look that an engine may miss now and then: it stays in use, degraded, until it has missed too many. */
function trouble(
  before: Health | null,
  seen: Answered,
  { maxFailures }: HealthLimits,
  status: 'error-api' | 'error-network',
): Health {
  const old = before?.state ?? null;
  const consecutiveFailures = failuresAfter(old);
  const running = old?.status === 'running-healthy' || old?.status === 'running-degraded';
  if (!running || old === null || consecutiveFailures >= maxFailures) {
    return bad({ ...seen, status, consecutiveFailures });
  }
  const { models, version, slots } = old;
  return bad({
    ...seen,
    models,
    version,
    slots,
    latencyMs: seen.latencyMs ?? old.latencyMs,
    status: 'running-degraded',
    consecutiveFailures,
  });
}

/** It does not answer because it works: that is no failure, and what it had it still has. */
function working(before: Health | null, seen: Answered, limits: HealthLimits): Health {
  const old = before?.state ?? null;
  if (old === null || !old.status.startsWith('running-'))
    return trouble(before, seen, limits, 'error-network');
  const { reason } = seen;
  return { state: { ...old, status: 'running-degraded', reason }, goodInARow: 0 };
}

function failuresAfter(old: EngineState | null): number {
  return (old?.consecutiveFailures ?? 0) + 1;
}

function bad(state: EngineState): Health {
  return { state, goodInARow: 0 };
}
