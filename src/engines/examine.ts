/** One look at one engine: does it answer, is it what it is said to be, what has it. */
import type { Clock, EngineState } from '../contract';
import { type Egress, EgressError } from '../egress';
import { FlmError, reasonOf } from '../lib/errors';
import type { Memo } from './memo';
import type { ListeningProgram } from './processes';
import { adapterOf } from './registry';
import type { Known } from './roster';

/**
 * What one look showed. `faulty`: it answers, and takes no requests or says nothing that can be used; `silent`: it did not answer in time or broke off; `working`: the same, while it works on requests
 * of FLM's, which may be all it can do; `gone`: nobody is there;
 * `other`: somebody else is.
 */
export type Look = Omit<EngineState, 'status' | 'consecutiveFailures'> & {
  readonly found: 'running' | 'needs-key' | 'faulty' | 'silent' | 'working' | 'gone' | 'other';
};

interface ExamineOptions {
  readonly egress: Egress;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly memo: Memo;
  /** Whether it works on requests of FLM's. */
  readonly works: boolean;
  /** The program behind the engine, where it runs on this machine and can be looked into. */
  readonly program: ListeningProgram | null;
}

/** Never rejects: whatever goes wrong is what was found. */
export async function examine({ ref, target, slots }: Known, options: ExamineOptions): Promise<Look> {
  const { egress, clock, timeoutMs, memo, program, works } = options;
  const adapter = adapterOf(ref.kind);
  const startedMs = clock.monotonicMs();
  const unknown = {
    ref,
    reason: null,
    version: null,
    latencyMs: null,
    slots,
    routes: adapter.routes,
    models: [],
  };
  try {
    await egress.checkEngineUrl(target.baseUrl);
    const io = { egress, signal: AbortSignal.timeout(timeoutMs), memo };
    const probe = await adapter.probe(target, io);
    if (probe === null)
      return { ...unknown, found: 'other', reason: `what answers there is not ${adapter.title}` };
    const latencyMs = Math.round(clock.monotonicMs() - startedMs);
    if (probe.status === 'needs-key') {
      const add = `flm engines add --url ${target.baseUrl} --key-env NAME`;
      const reason = target.credential === null ? `it wants a key: ${add}` : 'it does not accept its key';
      return { ...unknown, found: 'needs-key', reason, latencyMs };
    }
    if (probe.status === 'busy') return { ...unknown, found: 'faulty', reason: probe.reason, latencyMs };
    const models = probe.models ?? (await adapter.listModels(target, io));
    return {
      ...unknown,
      found: 'running',
      version: probe.version,
      latencyMs,
      models,
      slots:
        slots ?? probe.slots ?? (program === null ? null : (adapter.slotsFrom?.(program.variable) ?? null)),
    };
  } catch (error) {
    const failure = failureOf(error);
    return { ...unknown, ...failure, found: works && failure.found === 'silent' ? 'working' : failure.found };
  }
}

function failureOf(error: unknown): Pick<Look, 'found' | 'reason'> {
  const timedOut = error instanceof DOMException && error.name === 'TimeoutError';
  if (timedOut) return { found: 'silent', reason: 'it does not answer in time' };
  const reason = reasonOf(error);
  if (error instanceof FlmError)
    return { found: error.code === 'EGRESS_REFUSED' ? 'gone' : 'faulty', reason };
  const maybeThere = error instanceof EgressError && (error.kind === 'timeout' || error.kind === 'closed');
  return { found: maybeThere ? 'silent' : 'gone', reason };
}
