/**
 * The engines of this installation and how each of them is: added by hand, found, or FLM's own trial engine.
 * Keeps one list of states, refreshed on a timer and on demand, and opens the requests that have a Lease.
 */

import type { ConfigSnapshot } from '../config';
import type {
  AuditEvent,
  Cancel,
  Candidate,
  Clock,
  EngineGate,
  EngineRef,
  EngineState,
  InferenceRoute,
  Lease,
  Standing,
} from '../contract';
import { type Egress, EgressError, type EgressFailure, type EgressResponse } from '../egress';
import type { Bus } from '../lib/bus';
import { FlmError } from '../lib/errors';
import type { Log } from '../lib/log';
import type { Env } from '../lib/paths';
import type { EngineCall } from './adapter';
import { placeOf, portOf } from './address';
import { detectEngines, Strangers } from './detect';
import { examine, type Look } from './examine';
import { createHistory } from './history';
import type { HistoryStore } from './history/store';
import { createMemo, type Memo } from './memo';
import type { EnginesApi, EngineView } from './model';
import type { ListeningProgram, ProcessTable } from './processes';
import { checkedEngine } from './registration';
import { adapterOf } from './registry';
import { createRoster, type Known } from './roster';
import { createStandings } from './standings';
import type { EngineStore } from './store';
import type { Trial } from './trial';
import { installedOnly, trialView, viewOf } from './view';
import { createWatch } from './watch';

export interface Engines extends EnginesApi, EngineGate {
  /** How every engine was when last looked at. */
  states(): readonly EngineState[];
  /** Starts looking at them on a timer. Without it they are looked at only when somebody asks. */
  start(): void;
  /** Looks at all engines unless that was done less than `maxAgeMs` ago. Calls at the same time share one look. */
  refresh(maxAgeMs: number): Promise<void>;
  /** Whether an engine that was added by hand is reached over HTTPS. */
  anyOverHttps(): boolean;
  /** Whether streams of this engine must be asked for their token counts. */
  mustAskForUsage(engine: EngineRef, route: InferenceRoute): boolean;
  /**
   * Sends a request to the engine of the Lease.
   * @throws ENGINE_NETWORK_ERROR, ENGINE_API_ERROR, ENGINE_NEEDS_KEY, ENGINE_NOT_FOUND, EGRESS_TUNNEL_DOWN; the signal's
   * reason.
   */
  open(lease: Lease, call: EngineCall, signal: Cancel): Promise<EgressResponse>;
  /** How the engine is doing for one of its models; `waiting` and `active` are what FLM itself has sent there. */
  standingOf(candidate: Candidate, load: { readonly active: number; readonly waiting: number }): Standing;
  /** How the engine is at this moment; `unsure` when it does not answer in time, as a busy one may. */
  liveness(engine: EngineRef): Promise<'alive' | 'unsure' | 'gone'>;
  close(): Promise<void>;
}

export interface EnginesOptions {
  readonly store: EngineStore;
  readonly historyStore: HistoryStore;
  readonly egress: Egress;
  readonly config: () => ConfigSnapshot;
  readonly env: Env;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly log: Log;
  readonly trial: Trial;
  /** Puts on record what is no change to a database. */
  readonly record: (event: AuditEvent) => Promise<void>;
  readonly processes: ProcessTable;
  readonly isOwnPort: (port: number) => boolean;
  /** Told the new list after each look that changed it. */
  readonly onChange: (states: readonly EngineState[]) => void;
}

/** Failures before any engine was reached: whoever asks next should not be sent there. */
const UNREACHED: ReadonlySet<EgressFailure> = new Set(['refused', 'unreachable', 'timeout', 'tunnel']);

/** How often what is known of the engines' health goes to disk. */
const FLUSH_MS = 60_000;

/** Lists show a look that is at most this old. */
const FRESH_MS = 15_000;
/** A tunnel that comes back is seen within this time, more or less. */
const RETRY_SECONDS = 5;

export async function createEngines(options: EnginesOptions): Promise<Engines> {
  const { egress, config, clock, bus, trial, env, isOwnPort, record } = options;
  const roster = await createRoster(options.store, trial, clock);
  const memos = new Map<string, Memo>();
  const strangers = new Strangers(clock);
  const standings = createStandings(clock, () => ({
    failuresToOpen: config()['engine.breaker_failures'],
    openMs: config()['engine.breaker_open_ms'],
  }));
  const history = createHistory({
    store: options.historyStore,
    clock,
    keepDays: () => config()['engine.history_days'],
  });

  const timeoutMs = () => config()['engine.timeout_ms'];
  /** Programs that listen on this machine, as of the last search. */
  let programs: readonly ListeningProgram[] = [];

  /** Whether another user of this machine listens at a place that nobody has vouched for. */
  function isForeign(baseUrl: string): boolean {
    return placeOf(baseUrl).includes('//loopback:') && options.processes.isForeign(portOf(new URL(baseUrl)));
  }

  function memoOf(engineId: string): Memo {
    const memo = memos.get(engineId) ?? createMemo();
    memos.set(engineId, memo);
    return memo;
  }

  function examineNow(engine: Known): Promise<Look> {
    const place = placeOf(engine.ref.baseUrl);
    const program = programs.find(({ baseUrl }) => placeOf(baseUrl) === place) ?? null;
    const foreign = engine.ref.origin === 'detected' && isForeign(engine.ref.baseUrl);
    return examine(engine, {
      foreign,
      egress,
      clock,
      timeoutMs: timeoutMs(),
      memo: memoOf(engine.ref.id),
      program,
      works: standings.works(engine.ref.id),
    });
  }

  async function search(): Promise<void> {
    if (!config()['engine.detect']) return;
    // Also asked when its programs are not wanted: it tells whose the listeners are.
    const listening = await options.processes.engines();
    programs = config()['engine.detect_processes'] ? listening : [];
    const engines = await detectEngines({
      egress,
      env,
      timeoutMs: timeoutMs(),
      isOwnPort,
      known: new Set(roster.all().map(({ ref }) => placeOf(ref.baseUrl))),
      programs: programs.map(({ baseUrl }) => baseUrl),
      isForeign,
      strangers,
    });
    for (const engine of engines) roster.addFound(engine);
  }

  const watch = createWatch({
    roster,
    search,
    examine: examineNow,
    limits: () => ({
      latencyThresholdMs: config()['engine.health_latency_threshold_ms'],
      maxFailures: config()['engine.max_network_failures'],
    }),
    everyMs: () => config()['engine.refresh_ms'],
    clock,
    random: Math.random,
    bus,
    log: options.log,
    onLook(before, after) {
      history.looked(after);
      const isBack = before?.status === 'error-network' && after.status.startsWith('running-');
      if (isBack) standings.reset(after.ref.id);
    },
    onChange: options.onChange,
  });
  const undo = [
    bus.subscribe('engine.removed', ({ engineId }) => {
      standings.forget(engineId);
      memos.delete(engineId);
    }),
  ];
  let flushing: ReturnType<typeof setInterval> | null = null;
  /** Resolves when the trial engine is up, or will not be; null while it is not being started. */
  let trialStarts: Promise<unknown> | null = null;

  function flush(): Promise<void> {
    return history
      .flush()
      .catch((error: unknown) => options.log.error('the health of engines could not be written', { error }));
  }

  return {
    states: watch.states,
    async refresh(maxAgeMs) {
      // Whoever asks for its model while it comes up, after a hand-over say, would hear that nobody has it.
      await trialStarts;
      await watch.refresh(maxAgeMs);
    },
    start() {
      watch.start();
      flushing = setInterval(() => void flush(), FLUSH_MS);
      flushing.unref();
    },
    anyOverHttps: () => roster.manual().some((engine) => engine.baseUrl.startsWith('https:')),
    mustAskForUsage: (engine, route) => adapterOf(engine.kind).askForUsage.includes(route),

    async open(lease, call, signal) {
      const { engine } = lease.candidate;
      const entry = roster.find(engine.id);
      if (entry === null) throw new FlmError('ENGINE_NOT_FOUND', { meta: { engine: engine.id } });
      try {
        return await adapterOf(engine.kind).open(entry.target, call, { egress, signal });
      } catch (error) {
        if (!(error instanceof EgressError)) throw error;
        if (UNREACHED.has(error.kind)) watch.suspect(entry);
        throw engineError(engine.id, error);
      }
    },

    standingOf({ engine, model }, { active, waiting }) {
      const state = watch.states().find(({ ref }) => ref.id === engine.id);
      const recent = standings.recent(engine.id, model);
      const slots = state?.slots ?? config()['engine.default_slots'];
      return {
        available: standings.isOpenFor(engine.id),
        degraded: recent.degraded || state?.status === 'running-degraded',
        slots,
        freeSlots: slots - active - waiting,
        latencyMs: state?.latencyMs ?? 0,
        errorRate: recent.errorRate,
        tokensPerSecond: recent.tokensPerSecond,
      };
    },

    enter: standings.enter,

    answered: standings.answered,

    leave(candidate, outcome, durationMs, seen, answered) {
      standings.leave(candidate, outcome, durationMs, seen, answered);
      history.attempted(candidate, outcome, seen);
      const entry = roster.find(candidate.engine.id);
      // It may have been taken away while it worked.
      if (outcome === 'failed' && entry !== null) watch.suspect(entry);
    },

    async liveness(engine) {
      const entry = roster.find(engine.id);
      if (entry === null) return 'gone';
      const { found } = await examineNow(entry);
      if (found === 'running' || found === 'faulty' || found === 'needs-key') return 'alive';
      return found === 'silent' || found === 'working' ? 'unsure' : 'gone';
    },

    async list() {
      await watch.refresh(FRESH_MS);
      return { items: watch.states().map(view), next: null };
    },

    async healthHistory(query) {
      // Nobody may have looked yet.
      if (query.engine !== null && roster.find(query.engine) === null) await watch.refresh(FRESH_MS);
      return history.read(
        query,
        roster.all().map(({ ref }) => ref),
      );
    },

    async detect() {
      await watch.refreshAfterChange();
      return {
        items: [...watch.states().map(view), ...(await installedOnly(watch.states(), env))],
        next: null,
      };
    },

    async add(input) {
      const engine = await checkedEngine(input, { roster, egress, isOwnPort, timeoutMs: timeoutMs() });
      await roster.add(engine);
      await watch.refreshAfterChange();
      return requireView(engine.id);
    },

    async remove(id) {
      // It may be one that is found by looking, and nobody may have looked yet.
      if (roster.find(id) === null) await watch.refresh(FRESH_MS);
      const entry = roster.find(id);
      if (entry === null) throw new FlmError('ENGINE_NOT_FOUND', { meta: { engine: id } });
      if (entry.ref.origin !== 'manual') {
        const hint =
          entry.ref.origin === 'trial'
            ? 'Remove the trial engine with: flm engines try --remove'
            : 'FLM forgets it ten minutes after it has last answered. To see none that it finds by itself: flm config set engine.detect false';
        throw new FlmError('INVALID_INPUT', {
          meta: { field: id, reason: 'it was not added by hand' },
          hint,
        });
      }
      await roster.remove(id);
      await watch.refreshAfterChange();
      return { id, removed: true };
    },

    async startTrial() {
      const starting = trial.start();
      trialStarts = starting.catch(() => {});
      await starting.finally(() => {
        trialStarts = null;
      });
      await record({ type: 'engine.trial_started', severity: 'low', target: 'engine:trial', details: null });
      await watch.refreshAfterChange();
      return trialView(trial);
    },

    async stopTrial() {
      await trial.stop();
      await record({ type: 'engine.trial_stopped', severity: 'low', target: 'engine:trial', details: null });
      await watch.refreshAfterChange();
      return trialView(trial);
    },

    async close() {
      watch.stop();
      for (const stop of undo) stop();
      if (flushing !== null) {
        clearInterval(flushing);
        await flush();
      }
      await trial.stop();
    },
  };

  function view(state: EngineState): EngineView {
    return viewOf(state, standings.breakerOf(state.ref.id));
  }

  function requireView(id: string): EngineView {
    const state = watch.states().find((candidate) => candidate.ref.id === id);
    if (state === undefined) throw new FlmError('ENGINE_NOT_FOUND', { meta: { engine: id } });
    return view(state);
  }
}

function engineError(engine: string, error: EgressError): FlmError {
  if (error.kind === 'tunnel')
    return new FlmError('EGRESS_TUNNEL_DOWN', {
      meta: { engine, reason: error.message, retryAfterSeconds: RETRY_SECONDS },
      cause: error,
    });
  const code = error.kind === 'malformed' ? 'ENGINE_API_ERROR' : 'ENGINE_NETWORK_ERROR';
  return new FlmError(code, { meta: { engine, reason: error.message }, cause: error });
}
