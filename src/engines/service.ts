/**
 * The engines of this installation and how each of them is: added by hand, found, or FLM's own trial engine.
 * Keeps one list of states, refreshed on a timer and on demand, and opens the requests that have a Lease.
 */

import type { ConfigSnapshot } from '../config';
import type {
  Cancel,
  Candidate,
  Clock,
  EngineRef,
  EngineState,
  Lease,
  LeaseOutcome,
  Seen,
  Standing,
} from '../contract';
import { type Egress, EgressError, type EgressFailure, type EgressResponse } from '../egress';
import type { Bus } from '../lib/bus';
import { FlmError } from '../lib/errors';
import type { Log } from '../lib/log';
import type { Env } from '../lib/paths';
import type { EngineCall } from './adapter';
import { placeOf } from './address';
import { Breaker } from './breaker';
import { detectEngines } from './detect';
import { examine, type Look } from './examine';
import { type Health, judge } from './health';
import { createMemo } from './memo';
import type { EnginesApi, EngineView } from './model';
import { checkedEngine } from './registration';
import { ADAPTERS } from './registry';
import { createRoster, type Known } from './roster';
import type { EngineStore } from './store';
import { createTraffic } from './traffic';
import type { Trial } from './trial';
import { installedOnly, trialView, viewOf } from './view';

export interface Engines extends EnginesApi {
  /** How every engine was when last looked at. */
  states(): readonly EngineState[];
  /** Starts looking at them on a timer. Without it they are looked at only when somebody asks. */
  start(): void;
  /** Looks at all engines unless that was done less than `maxAgeMs` ago. Calls at the same time share one look. */
  refresh(maxAgeMs: number): Promise<void>;
  /** Whether an engine that was added by hand is reached over HTTPS. */
  anyOverHttps(): boolean;
  /** Whether streams of this engine must be asked for their token counts. */
  usageOf(engine: EngineRef): 'always' | 'ask';
  /**
   * Sends a request to the engine of the Lease.
   * @throws ENGINE_NETWORK_ERROR, ENGINE_API_ERROR, ENGINE_NEEDS_KEY, ENGINE_NOT_FOUND; the signal's reason.
   */
  open(lease: Lease, call: EngineCall, signal: Cancel): Promise<EgressResponse>;
  /** How the engine is doing for one of its models; `waiting` and `active` are what FLM itself has sent there. */
  standingOf(candidate: Candidate, load: { readonly active: number; readonly waiting: number }): Standing;
  /** Passes a request through the engine's breaker. @throws ENGINE_UNAVAILABLE */
  enter(candidate: Candidate): void;
  leave(candidate: Candidate, outcome: LeaseOutcome, durationMs: number, seen: Seen | null): void;
  /** How the engine is at this moment; `unsure` when it does not answer in time, as a busy one may. */
  liveness(engine: EngineRef): Promise<'alive' | 'unsure' | 'gone'>;
  close(): Promise<void>;
}

export interface EnginesOptions {
  readonly store: EngineStore;
  readonly egress: Egress;
  readonly config: () => ConfigSnapshot;
  readonly env: Env;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly log: Log;
  readonly trial: Trial;
  readonly isOwnPort: (port: number) => boolean;
  /** Told the new list after each look that changed it. */
  readonly onChange: (states: readonly EngineState[]) => void;
}

/** Failures before any engine was reached: whoever asks next should not be sent there. */
const UNREACHED: ReadonlySet<EgressFailure> = new Set(['refused', 'unreachable', 'timeout']);

/** Lists show a look that is at most this old. */
const FRESH_MS = 15_000;

export async function createEngines(options: EnginesOptions): Promise<Engines> {
  const { egress, config, clock, bus, trial } = options;
  const roster = await createRoster(options.store, trial, clock);
  const health = new Map<string, Health>();
  const breakers = new Map<string, Breaker>();
  const traffic = createTraffic(clock);
  const memo = createMemo();
  /** Looks that are under way, by engine. */
  const underWay = new Map<string, Promise<void>>();
  let states: readonly EngineState[] = [];
  let looking: Promise<void> | null = null;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let closed = false;
  let lookedAtMs = Number.NEGATIVE_INFINITY;

  const timeoutMs = () => config()['engine.timeout_ms'];
  const examineNow = (engine: Known) => examine(engine, { egress, clock, timeoutMs: timeoutMs(), memo });

  const breakerLimits = () => ({
    failuresToOpen: config()['engine.breaker_failures'],
    openMs: config()['engine.breaker_open_ms'],
  });

  /** Looks at everything: searches, and asks every engine. */
  async function look(): Promise<void> {
    roster.update();
    if (config()['engine.detect']) await search();
    await Promise.all(roster.all().map(lookAt));
    roster.forgetGone();
    publish();
  }

  function lookAt(engine: Known): Promise<void> {
    const { id } = engine.ref;
    const running = underWay.get(id);
    if (running !== undefined) return running;
    const started = examineNow(engine)
      .then((seen) => take(engine, seen))
      .finally(() => underWay.delete(id));
    underWay.set(id, started);
    return started;
  }

  function take({ ref: { id } }: Known, seen: Look): void {
    const before = health.get(id) ?? null;
    const after = judge(before, seen, {
      latencyThresholdMs: config()['engine.health_latency_threshold_ms'],
      maxFailures: config()['engine.max_network_failures'],
    });
    health.set(id, after);
    if (seen.found === 'running' || seen.found === 'needs-key') roster.seen(id);
    // It was gone and is there again: what failed before is not what answers now.
    if (seen.found === 'running' && before?.state.status === 'error-network') breakers.get(id)?.reset();
  }

  async function search(): Promise<void> {
    const engines = await detectEngines({
      egress,
      env: options.env,
      timeoutMs: timeoutMs(),
      isOwnPort: options.isOwnPort,
      known: new Set(roster.all().map(({ ref }) => placeOf(ref.baseUrl))),
    });
    for (const engine of engines) roster.addFound(engine);
  }

  /** Makes the list of states anew, and tells what has changed. */
  function publish(): void {
    const before = new Map(states.map((state) => [state.ref.id, state]));
    const next = roster.all().flatMap(({ ref }) => health.get(ref.id)?.state ?? []);
    states = next;
    options.onChange(states);
    for (const state of next) {
      const { id: engineId, kind } = state.ref;
      const old = before.get(engineId);
      before.delete(engineId);
      if (old?.status === state.status && old.models.length === state.models.length) continue;
      const { status, models } = state;
      bus.publish({ name: 'engine.changed', engineId, kind, status, models: models.length });
    }
    for (const engineId of before.keys()) {
      health.delete(engineId);
      breakers.delete(engineId);
      traffic.forget(engineId);
      bus.publish({ name: 'engine.removed', engineId });
    }
  }

  /** Something went wrong with one engine: looks at it again, at once. */
  function suspect(engine: Known): void {
    void lookAt(engine).then(publish);
  }

  function breakerOf(engineId: string): Breaker {
    const breaker = breakers.get(engineId) ?? new Breaker(clock, breakerLimits);
    breakers.set(engineId, breaker);
    return breaker;
  }

  async function refresh(maxAgeMs: number): Promise<void> {
    if (looking === null && clock.monotonicMs() - lookedAtMs < maxAgeMs) return;
    looking ??= look()
      .catch((error: unknown) => options.log.error('looking for engines failed', { error }))
      .finally(() => {
        looking = null;
        lookedAtMs = clock.monotonicMs();
      });
    await looking;
  }

  function schedule(): void {
    if (closed) return;
    timer = setTimeout(() => void refresh(0).then(schedule), config()['engine.refresh_ms']);
    timer.unref();
  }

  async function refreshAfterChange(): Promise<void> {
    // A look that is under way may have read the list before the change.
    await looking;
    await refresh(0);
  }

  return {
    states: () => states,
    refresh,
    start: () => void refresh(0).then(schedule),
    anyOverHttps: () => roster.manual().some((engine) => engine.baseUrl.startsWith('https:')),
    usageOf: (engine) => ADAPTERS[engine.kind].usage,

    async open(lease, call, signal) {
      const { engine } = lease.candidate;
      const entry = roster.find(engine.id);
      if (entry === null) throw new FlmError('ENGINE_NOT_FOUND', { meta: { engine: engine.id } });
      try {
        return await ADAPTERS[engine.kind].open(entry.target, call, { egress, signal });
      } catch (error) {
        if (!(error instanceof EgressError)) throw error;
        if (UNREACHED.has(error.kind)) suspect(entry);
        throw engineError(engine.id, error);
      }
    },

    standingOf({ engine, model }, { active, waiting }) {
      const state = health.get(engine.id)?.state;
      const recent = traffic.of(engine.id, model);
      const slots = state?.slots ?? config()['engine.default_slots'];
      return {
        available: breakerOf(engine.id).retryAfterMs === 0,
        degraded: recent.degraded || state?.status === 'running-degraded',
        slots,
        freeSlots: slots - active - waiting,
        latencyMs: state?.latencyMs ?? 0,
        errorRate: recent.errorRate,
        tokensPerSecond: recent.tokensPerSecond,
      };
    },

    enter({ engine }) {
      const breaker = breakerOf(engine.id);
      if (breaker.enter()) return;
      const retryAfterSeconds = Math.ceil(breaker.retryAfterMs / 1_000);
      throw new FlmError('ENGINE_UNAVAILABLE', { meta: { engine: engine.id, retryAfterSeconds } });
    },

    leave(candidate, outcome, durationMs, seen) {
      const entry = roster.find(candidate.engine.id);
      // It was taken away while it worked.
      if (entry === null) return;
      breakerOf(entry.ref.id).leave(outcome);
      traffic.add(candidate, outcome, durationMs, seen);
      if (outcome === 'failed') suspect(entry);
    },

    async liveness(engine) {
      const entry = roster.find(engine.id);
      if (entry === null) return 'gone';
      const { found } = await examineNow(entry);
      if (found === 'running' || found === 'busy' || found === 'needs-key') return 'alive';
      return found === 'silent' ? 'unsure' : 'gone';
    },

    async list() {
      await refresh(FRESH_MS);
      return { items: states.map(viewOf), next: null };
    },

    async detect() {
      await refreshAfterChange();
      return { items: [...states.map(viewOf), ...(await installedOnly(states, options.env))], next: null };
    },

    async add(input) {
      const { isOwnPort } = options;
      const engine = await checkedEngine(input, { roster, egress, isOwnPort, timeoutMs: timeoutMs() });
      await roster.add(engine);
      await refreshAfterChange();
      return requireView(engine.id);
    },

    async remove(id) {
      // It may be one that is found by looking, and nobody may have looked yet.
      if (roster.find(id) === null) await refresh(FRESH_MS);
      const entry = roster.find(id);
      if (entry === null) throw new FlmError('ENGINE_NOT_FOUND', { meta: { engine: id } });
      if (entry.ref.origin !== 'manual') {
        const hint =
          entry.ref.origin === 'trial'
            ? 'Remove the trial engine with: flm engines try --remove'
            : 'Stop the engine, or stop looking for engines: flm config set engine.detect false';
        throw new FlmError('INVALID_INPUT', {
          meta: { field: id, reason: 'it was not added by hand' },
          hint,
        });
      }
      await roster.remove(id);
      await refreshAfterChange();
      return { id, removed: true };
    },

    async startTrial() {
      await trial.start();
      await refreshAfterChange();
      return trialView(trial);
    },

    async stopTrial() {
      await trial.stop();
      await refreshAfterChange();
      return trialView(trial);
    },

    async close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      await trial.stop();
    },
  };

  function requireView(id: string): EngineView {
    const state = states.find((candidate) => candidate.ref.id === id);
    if (state === undefined) throw new FlmError('ENGINE_NOT_FOUND', { meta: { engine: id } });
    return viewOf(state);
  }
}

function engineError(engine: string, error: EgressError): FlmError {
  const code = error.kind === 'malformed' ? 'ENGINE_API_ERROR' : 'ENGINE_NETWORK_ERROR';
  return new FlmError(code, { meta: { engine, reason: error.message }, cause: error });
}
