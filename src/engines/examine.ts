/** One look at one engine: does it answer, is it what it is said to be, what has it. */
import type { Clock, EngineState } from '../contract';
import type { Egress } from '../egress';
import { FlmError, reasonOf } from '../lib/errors';
import { ADAPTERS } from './registry';
import type { Known } from './roster';

/** The reason of an engine that did not answer within the time-out: it may be gone, or busy. */
export const TOO_SLOW = 'it does not answer in time';

interface ExamineOptions {
  readonly egress: Egress;
  readonly clock: Clock;
  readonly timeoutMs: number;
}

/** Never rejects: whatever goes wrong is the state. */
export async function examine({ ref, target, slots }: Known, options: ExamineOptions): Promise<EngineState> {
  const { egress, clock, timeoutMs } = options;
  const adapter = ADAPTERS[ref.kind];
  const startedMs = clock.monotonicMs();
  const unknown = { ref, reason: null, version: null, latencyMs: null, slots, models: [] };
  try {
    await egress.checkEngineUrl(target.baseUrl);
    const io = { egress, signal: AbortSignal.timeout(timeoutMs) };
    const probe = await adapter.probe(target, io);
    if (probe === null)
      return { ...unknown, status: 'error-api', reason: `what answers there is not ${adapter.title}` };
    const latencyMs = Math.round(clock.monotonicMs() - startedMs);
    if (probe.status === 'needs-key') {
      const reason = target.credential === null ? 'it wants a key' : 'it does not accept its key';
      return { ...unknown, status: 'needs-key', reason, latencyMs };
    }
    const models = await adapter.listModels(target, io);
    const { status, version } = probe;
    return { ...unknown, status, version, latencyMs, models, slots: slots ?? probe.slots };
  } catch (error) {
    const timedOut = error instanceof DOMException && error.name === 'TimeoutError';
    const status = error instanceof FlmError ? 'error-api' : 'error-network';
    return { ...unknown, status, reason: timedOut ? TOO_SLOW : reasonOf(error) };
  }
}
