/**
 * Keeps one list of how every engine is: looks at each on its own time, at once where a request went wrong, and tells
 * what has changed. Looks never overlap for one engine, and an engine that hangs holds up no other.
 */
import type { Clock, EngineModel, EngineState } from '../contract';
import type { Bus } from '../lib/bus';
import type { Log } from '../lib/log';
import type { Look } from './examine';
import { type Health, type HealthLimits, judge } from './health';
import type { Known, Roster } from './roster';

export interface Watch {
  states(): readonly EngineState[];
  /** Searches and looks at all engines unless that was done less than `maxAgeMs` ago. Calls at one time share one look. */
  refresh(maxAgeMs: number): Promise<void>;
  /** As `refresh(0)`, also when a look is under way that may have missed a change. */
  refreshAfterChange(): Promise<void>;
  /** A request went wrong: looks at the engine at once. */
  suspect(engine: Known): void;
  /** Begins to look at engines by itself. */
  start(): void;
  stop(): void;
}

export interface WatchOptions {
  readonly roster: Roster;
  /** Adds engines that are not in the roster yet. */
  readonly search: () => Promise<void>;
  readonly examine: (engine: Known) => Promise<Look>;
  readonly limits: () => HealthLimits;
  /** How often a running engine is looked at, and how often others are searched for. */
  readonly everyMs: () => number;
  readonly clock: Clock;
  /** A number from 0 to 1. */
  readonly random: () => number;
  readonly bus: Bus;
  readonly log: Log;
  /** Told of every look; `before` is null at the first. */
  readonly onLook: (before: EngineState | null, after: EngineState) => void;
  /** Told the new list when it is another one: more than latencies have changed. */
  readonly onChange: (states: readonly EngineState[]) => void;
}

/** Looks are spread this far around their time, so that engines are not all asked at once. */
const JITTER = 0.2;
/** An engine of this machine that comes back is to be seen within ten seconds. */
const LONGEST_PAUSE_HERE_MS = 7_000;
const LONGEST_PAUSE_MS = 60_000;
const LEAST_PAUSE_MS = 100;

export function createWatch(options: WatchOptions): Watch {
  const { roster, clock, bus } = options;
  const health = new Map<string, Health>();
  const dueMs = new Map<string, number>();
  const underWay = new Map<string, Promise<void>>();
  let states: readonly EngineState[] = [];
  let looking: Promise<void> | null = null;
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  let searchDueMs = 0;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let started = false;

  function lookAt(engine: Known): Promise<void> {
    const { id } = engine.ref;
    const running = underWay.get(id);
    if (running !== undefined) return running;
    const look = options
      .examine(engine)
      .then((seen) => take(id, seen))
      .finally(() => underWay.delete(id));
    underWay.set(id, look);
    return look;
  }

  function take(id: string, seen: Look): void {
    const before = health.get(id) ?? null;
    const old = before?.state ?? null;
    // The same list stays the same object: what is made of it need not be made again.
    const models = old !== null && isSameList(old.models, seen.models) ? old.models : seen.models;
    const after = judge(before, { ...seen, models }, options.limits());
    health.set(id, after);
    dueMs.set(id, clock.monotonicMs() + pauseAfter(after.state));
    if (seen.found === 'running' || seen.found === 'needs-key') roster.seen(id);
    // The next search finds out what it is now.
    if (seen.found === 'other') roster.drop(id);
    options.onLook(old, after.state);
  }

  function pauseAfter({ ref, consecutiveFailures }: EngineState): number {
    const longest = isHere(ref.baseUrl) ? LONGEST_PAUSE_HERE_MS : LONGEST_PAUSE_MS;
    const pauseMs = options.everyMs() * 2 ** Math.min(consecutiveFailures, 10);
    return jittered(Math.min(pauseMs, Math.max(longest, options.everyMs())));
  }

  function jittered(ms: number): number {
    return ms * (1 + JITTER * (2 * options.random() - 1));
  }

  async function search(): Promise<void> {
    searchDueMs = clock.monotonicMs() + jittered(options.everyMs());
    await options.search();
  }

  async function lookAtAll(): Promise<void> {
    roster.update();
    await search();
    await Promise.all(roster.all().map(lookAt));
    roster.forgetGone();
    publish();
  }

  /** Whatever its time has come for. What takes long does not hold up the rest: it is published when it is there. */
  function lookAtDue(): void {
    const nowMs = clock.monotonicMs();
    roster.update();
    roster.forgetGone();
    if (searchDueMs <= nowMs) publishAfter(search());
    for (const engine of roster.all()) {
      if ((dueMs.get(engine.ref.id) ?? 0) <= nowMs && !underWay.has(engine.ref.id))
        publishAfter(lookAt(engine));
    }
  }

  function publishAfter(look: Promise<void>): void {
    look.then(publish).catch((error: unknown) => options.log.error('looking for engines failed', { error }));
  }

  /** Makes the list of states anew, and tells what has changed. */
  function publish(): void {
    const before = new Map(states.map((state) => [state.ref.id, state]));
    const next = roster.all().flatMap(({ ref }) => health.get(ref.id)?.state ?? []);
    let changed = next.length !== states.length;
    states = next;
    for (const state of next) {
      const { id: engineId, kind } = state.ref;
      const old = before.get(engineId);
      before.delete(engineId);
      if (old !== undefined && isSame(old, state)) continue;
      changed = true;
      const { status, models } = state;
      if (old?.status === status && old.models === models) continue;
      bus.publish({ name: 'engine.changed', engineId, kind, status, models: models.length });
    }
    for (const engineId of before.keys()) {
      changed = true;
      health.delete(engineId);
      dueMs.delete(engineId);
      bus.publish({ name: 'engine.removed', engineId });
    }
    if (changed) options.onChange(states);
    schedule();
  }

  /** Sets the clock for whatever is due next. */
  function schedule(): void {
    if (!started) return;
    if (timer !== null) clearTimeout(timer);
    const due = roster
      .all()
      .filter(({ ref }) => !underWay.has(ref.id))
      .map(({ ref }) => dueMs.get(ref.id) ?? 0);
    const pauseMs = Math.min(searchDueMs, ...due) - clock.monotonicMs();
    timer = setTimeout(
      () => {
        lookAtDue();
        schedule();
      },
      Math.max(LEAST_PAUSE_MS, pauseMs),
    );
    timer.unref();
  }

  async function refresh(maxAgeMs: number): Promise<void> {
    if (looking === null && clock.monotonicMs() - lookedAtMs < maxAgeMs) return;
    looking ??= lookAtAll()
      .catch((error: unknown) => options.log.error('looking for engines failed', { error }))
      .finally(() => {
        looking = null;
        lookedAtMs = clock.monotonicMs();
      });
    await looking;
  }

  return {
    states: () => states,
    refresh,
    async refreshAfterChange() {
      await looking;
      await refresh(0);
    },
    suspect: (engine) => publishAfter(lookAt(engine)),
    start() {
      started = true;
      void refresh(0);
    },
    stop() {
      started = false;
      if (timer !== null) clearTimeout(timer);
    },
  };
}

/** Some engines say that every model was made at the moment of the question: that is no difference. */
function isSameList(old: readonly EngineModel[], now: readonly EngineModel[]): boolean {
  if (old === now) return true;
  return (
    old.length === now.length &&
    old.every((model, index) => {
      const other = now[index];
      return other !== undefined && Bun.deepEquals(model, { ...other, createdSeconds: model.createdSeconds });
    })
  );
}

/** Whether nothing has changed that anybody but a dashboard would care about. */
function isSame(old: EngineState, now: EngineState): boolean {
  return (
    old.ref === now.ref &&
    old.status === now.status &&
    old.reason === now.reason &&
    old.version === now.version &&
    old.slots === now.slots &&
    old.models === now.models
  );
}

function isHere(baseUrl: string): boolean {
  const { hostname } = new URL(baseUrl);
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}
