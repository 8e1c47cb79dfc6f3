/**
 * The engines of this installation and how each of them is: added by hand, found, or FLM's own trial engine.
 * Keeps one list of states, refreshed on a timer and on demand, and opens the requests that have a Lease.
 */

import type { ConfigSnapshot } from '../config';
import type { Cancel, Clock, EngineOrigin, EngineRef, EngineState, Lease } from '../contract';
import { type Egress, EgressError, type EgressResponse } from '../egress';
import type { Bus } from '../lib/bus';
import { FlmError, reasonOf } from '../lib/errors';
import type { Log } from '../lib/log';
import type { Env } from '../lib/paths';
import type { EngineCall, EngineTarget } from './adapter';
import { parseBaseUrl, placeOf, portOf } from './address';
import { detectEngines, idOf, recognise } from './detect';
import type { EngineInput, EnginesApi, EngineView, TrialView } from './model';
import { ADAPTERS, ENGINE_KINDS, findKind, RECOGNITION } from './registry';
import type { EngineStore, ManualEngine } from './store';
import type { Trial } from './trial';

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

interface Known {
  readonly ref: EngineRef;
  readonly target: EngineTarget;
  readonly slots: number | null;
}

/** How long an engine that was found and is gone stays in the list, so that its owner sees that it is gone. */
const FORGET_AFTER_MS = 600_000;

/** Lists show a look that is at most this old. */
const FRESH_MS = 15_000;

const TRIAL_ID = 'trial';

const TOO_SLOW = 'it does not answer in time';

export async function createEngines(options: EnginesOptions): Promise<Engines> {
  const { store, egress, config, clock, bus, trial } = options;
  let manual = await store.load();
  /** Every engine by its id, made anew when the list changes: requests look here. */
  let targets: ReadonlyMap<string, Known> = new Map();
  const found = new Map<string, { known: Known; lastSeenMs: number }>();
  let states: readonly EngineState[] = [];
  let looking: Promise<void> | null = null;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let closed = false;
  let lookedAtMs = Number.NEGATIVE_INFINITY;

  function known(): Known[] {
    const trialState = trial.state();
    return [
      ...manual.map((engine) => knownOf(engine, 'manual')),
      ...(trialState.running && trialState.baseUrl !== null
        ? [trialKnown(trialState.baseUrl, trialState.slots)]
        : []),
      ...[...found.values()].map((entry) => entry.known),
    ];
  }

  function findKnown(id: string): Known | null {
    return targets.get(id) ?? null;
  }

  function findAt(baseUrl: string): Known | null {
    const place = placeOf(baseUrl);
    return known().find((engine) => placeOf(engine.ref.baseUrl) === place) ?? null;
  }

  function updateTargets(): void {
    targets = new Map(known().map((engine) => [engine.ref.id, engine]));
  }

  async function reloadManual(): Promise<void> {
    manual = await store.load();
    updateTargets();
  }

  async function look(): Promise<void> {
    updateTargets();
    if (config()['engine.detect']) await search();
    const next = await Promise.all(known().map(examine));
    const now = clock.monotonicMs();
    for (const state of next) {
      const entry = found.get(state.ref.id);
      if (entry === undefined) continue;
      if (state.status === 'running-healthy' || state.status === 'needs-key') entry.lastSeenMs = now;
      else if (now - entry.lastSeenMs > FORGET_AFTER_MS) found.delete(state.ref.id);
    }
    publish(next);
  }

  async function search(): Promise<void> {
    const engines = await detectEngines({
      egress,
      env: options.env,
      timeoutMs: config()['engine.timeout_ms'],
      isOwnPort: options.isOwnPort,
      known: new Set(known().map((engine) => placeOf(engine.ref.baseUrl))),
    });
    for (const { kind, baseUrl } of engines) {
      // Its owner may have added it while this looked.
      if (findAt(baseUrl) !== null) continue;
      const id = freeId(idOf(kind, baseUrl));
      const ref: EngineRef = { id, kind, baseUrl, origin: 'detected' };
      const entry = { ref, target: { baseUrl, credential: null }, slots: null };
      found.set(id, { known: entry, lastSeenMs: clock.monotonicMs() });
      updateTargets();
    }
  }

  function freeId(wanted: string): string {
    let id = wanted;
    for (let n = 2; findKnown(id) !== null; n++) id = `${wanted}-${n}`;
    return id;
  }

  async function examine({ ref, target, slots }: Known): Promise<EngineState> {
    const adapter = ADAPTERS[ref.kind];
    const startedMs = clock.monotonicMs();
    const state = (rest: Partial<EngineState> & Pick<EngineState, 'status'>): EngineState => ({
      ref,
      reason: null,
      version: null,
      latencyMs: null,
      slots,
      models: [],
      ...rest,
    });
    try {
      await egress.checkEngineUrl(target.baseUrl);
      const io = { egress, signal: AbortSignal.timeout(config()['engine.timeout_ms']) };
      const probe = await adapter.probe(target, io);
      const latencyMs = Math.round(clock.monotonicMs() - startedMs);
      if (probe === null)
        return state({ status: 'error-api', reason: `what answers there is not ${adapter.title}` });
      if (probe.status === 'needs-key') {
        const reason = target.credential === null ? 'it wants a key' : 'it does not accept its key';
        return state({ status: 'needs-key', reason, latencyMs });
      }
      const models = await adapter.listModels(target, io);
      const { version } = probe;
      return state({ status: 'running-healthy', version, latencyMs, models, slots: slots ?? probe.slots });
    } catch (error) {
      const timedOut = error instanceof DOMException && error.name === 'TimeoutError';
      const reason = timedOut ? TOO_SLOW : reasonOf(error);
      return state({ status: error instanceof FlmError ? 'error-api' : 'error-network', reason });
    }
  }

  function publish(next: readonly EngineState[]): void {
    updateTargets();
    const before = new Map(states.map((state) => [state.ref.id, state]));
    states = next;
    options.onChange(states);
    for (const state of next) {
      const old = before.get(state.ref.id);
      before.delete(state.ref.id);
      if (old?.status === state.status && old.models.length === state.models.length) continue;
      const { id: engineId, kind } = state.ref;
      bus.publish({
        name: 'engine.changed',
        engineId,
        kind,
        status: state.status,
        models: state.models.length,
      });
    }
    for (const engineId of before.keys()) bus.publish({ name: 'engine.removed', engineId });
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

  updateTargets();

  return {
    states: () => states,
    refresh,
    start: () => void refresh(0).then(schedule),
    anyOverHttps: () => manual.some((engine) => engine.baseUrl.startsWith('https:')),
    usageOf: (engine) => ADAPTERS[engine.kind].usage,

    async open(lease, call, signal) {
      const { engine } = lease.candidate;
      const entry = findKnown(engine.id);
      if (entry === null) throw new FlmError('ENGINE_NOT_FOUND', { meta: { engine: engine.id } });
      try {
        return await ADAPTERS[engine.kind].open(entry.target, call, { egress, signal });
      } catch (error) {
        if (!(error instanceof EgressError)) throw error;
        // Whoever asks next should not be sent there.
        if (error.kind === 'refused' || error.kind === 'unreachable') void refresh(0);
        throw engineError(engine.id, error);
      }
    },

    async liveness(engine) {
      const entry = findKnown(engine.id);
      if (entry === null) return 'gone';
      const { status, reason } = await examine(entry);
      if (status === 'running-healthy' || status === 'needs-key') return 'alive';
      return reason === TOO_SLOW ? 'unsure' : 'gone';
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
      const engine = await manualOf(input);
      await store.insert(engine, clock.nowMs());
      await reloadManual();
      // It may have been found before the owner named it.
      for (const [id, entry] of found) {
        if (placeOf(entry.known.ref.baseUrl) === placeOf(engine.baseUrl)) found.delete(id);
      }
      await refreshAfterChange();
      return requireView(engine.id);
    },

    async remove(id) {
      // It may be one that is found by looking, and nobody may have looked yet.
      if (findKnown(id) === null) await refresh(FRESH_MS);
      const entry = findKnown(id);
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
      await store.remove(id);
      await reloadManual();
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

  async function manualOf(input: EngineInput): Promise<ManualEngine> {
    const baseUrl = parseBaseUrl(input.url);
    await refuseBadPlace(baseUrl);
    const credential = input.key ?? null;
    const kind = input.kind === undefined ? await askKind({ baseUrl, credential }) : requireKind(input.kind);
    const twin = manual.find(
      (engine) => engine.id === input.id || placeOf(engine.baseUrl) === placeOf(baseUrl),
    );
    if (twin !== undefined) throw new FlmError('ENGINE_EXISTS', { meta: { engine: twin.id } });
    if (input.id !== undefined && isTaken(input.id, baseUrl)) {
      throw new FlmError('ENGINE_EXISTS', { meta: { engine: input.id } });
    }
    return {
      id: input.id ?? freeManualId(kind, baseUrl),
      kind,
      baseUrl,
      slots: input.slots ?? null,
      credential,
    };
  }

  /** Whether an engine at another place has the name; the trial engine has its own also while it does not run. */
  function isTaken(id: string, baseUrl: string): boolean {
    const entry = findKnown(id);
    return id === TRIAL_ID || (entry !== null && placeOf(entry.ref.baseUrl) !== placeOf(baseUrl));
  }

  /** A found engine at the same place gives its name up to the one that is added. */
  function freeManualId(kind: EngineRef['kind'], baseUrl: string): string {
    const here = findAt(baseUrl);
    if (here !== null && here.ref.kind === kind) return here.ref.id;
    const wanted = idOf(kind, baseUrl);
    return isTaken(wanted, baseUrl) ? freeId(wanted) : wanted;
  }

  async function refuseBadPlace(baseUrl: string): Promise<void> {
    const url = new URL(baseUrl);
    if (placeOf(baseUrl).includes('//loopback:') && options.isOwnPort(portOf(url))) {
      const reason = 'that is FLM itself, and it would ask itself for ever';
      throw new FlmError('ENGINE_URL_REFUSED', { meta: { url: baseUrl, reason } });
    }
    await egress.checkEngineUrl(baseUrl).catch((error: unknown) => {
      const reason = error instanceof FlmError ? String(error.meta.reason) : reasonOf(error);
      // A name that does not resolve today may do so tomorrow: the engine is added and shown as it is.
      if (reason.startsWith('its name cannot be resolved')) return;
      throw new FlmError('ENGINE_URL_REFUSED', { meta: { url: baseUrl, reason }, cause: error });
    });
  }

  async function askKind(target: EngineTarget): Promise<ManualEngine['kind']> {
    const engine = await recognise(target, { egress, timeoutMs: config()['engine.timeout_ms'] });
    if (engine !== null) return engine.kind;
    const reason = 'no engine that FLM knows answers there';
    throw new FlmError('ENGINE_NETWORK_ERROR', {
      meta: { engine: target.baseUrl, reason },
      hint: `Start it first, or say what it is with --kind ${ENGINE_KINDS.join('|')}.`,
    });
  }
}

function requireKind(name: string): ManualEngine['kind'] {
  const kind = findKind(name);
  if (kind !== null) return kind;
  const reason = `there is no kind "${name}"; FLM knows ${ENGINE_KINDS.join(', ')}`;
  throw new FlmError('INVALID_INPUT', { meta: { field: 'kind', reason } });
}

function knownOf(engine: ManualEngine, origin: EngineOrigin): Known {
  const { id, kind, baseUrl, slots, credential } = engine;
  return { ref: { id, kind, baseUrl, origin }, target: { baseUrl, credential }, slots };
}

function trialKnown(baseUrl: string, slots: number): Known {
  const ref: EngineRef = { id: TRIAL_ID, kind: 'llamacpp', baseUrl, origin: 'trial' };
  return { ref, target: { baseUrl, credential: null }, slots };
}

function engineError(engine: string, error: EgressError): FlmError {
  const code = error.kind === 'malformed' ? 'ENGINE_API_ERROR' : 'ENGINE_NETWORK_ERROR';
  return new FlmError(code, { meta: { engine, reason: error.message }, cause: error });
}

/** Programs that are installed while no engine of their kind runs. */
async function installedOnly(states: readonly EngineState[], env: Env): Promise<EngineView[]> {
  const views: EngineView[] = [];
  for (const adapter of RECOGNITION) {
    if (states.some((state) => state.ref.kind === adapter.kind && state.ref.origin !== 'trial')) continue;
    const program = await adapter.findInstalled?.(env);
    if (program === undefined || program === null) continue;
    views.push({
      id: `${adapter.kind}-default`,
      kind: adapter.kind,
      name: adapter.title,
      url: `http://127.0.0.1:${adapter.ports[0]}`,
      origin: 'detected',
      version: program.version,
      status: { status: 'installed-only', latency_ms: null, reason: `${program.path} does not run` },
      slots: null,
      models: [],
    });
  }
  return views;
}

export function viewOf(state: EngineState): EngineView {
  return {
    id: state.ref.id,
    kind: state.ref.kind,
    name: ADAPTERS[state.ref.kind].title,
    url: state.ref.baseUrl,
    origin: state.ref.origin,
    version: state.version,
    status: { status: state.status, latency_ms: state.latencyMs, reason: state.reason },
    slots: state.slots,
    models: state.models.map((model) => model.id),
  };
}

function trialView(trial: Trial): TrialView {
  const { installed, running, baseUrl, pid, model, error } = trial.state();
  return { installed, running, url: baseUrl, pid, model, error };
}
