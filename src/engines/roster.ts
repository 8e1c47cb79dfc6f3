/** Which engines this installation has, by name and by place: added by hand, found, or the trial engine. */
import type { Clock, EngineOrigin, EngineRef } from '../contract';
import type { EngineTarget } from './adapter';
import { placeOf } from './address';
import type { FoundEngine } from './detect';
import { idOf } from './detect';
import type { EngineStore, ManualEngine } from './store';
import type { Trial } from './trial';

/** An engine and how to reach it. */
export interface Known {
  readonly ref: EngineRef;
  readonly target: EngineTarget;
  /** How many requests at once its owner allows, or null when the engine is to say. */
  readonly slots: number | null;
}

export interface Roster {
  all(): readonly Known[];
  find(id: string): Known | null;
  findAt(baseUrl: string): Known | null;
  manual(): readonly ManualEngine[];
  /** The id for an engine that is being added at a place; one found there before gives its name up to it. */
  idFor(kind: EngineRef['kind'], baseUrl: string): string;
  /** Whether an engine at another place has the name; the trial engine has its own also while it does not run. */
  isTaken(id: string, baseUrl: string): boolean;
  add(engine: ManualEngine): Promise<void>;
  remove(id: string): Promise<void>;
  /** Takes up what was found, unless its owner has named the place meanwhile. */
  addFound(engine: FoundEngine): void;
  /** Says that one of the found engines answered just now. */
  seen(id: string): void;
  /** Drops a found engine: something else answers at its place. */
  drop(id: string): void;
  /** Drops found engines that have not answered for long. */
  forgetGone(): void;
  /** Takes up that the trial engine has started or ended. */
  update(): void;
}

/** How long an engine that was found and is gone stays in the list, so that its owner sees that it is gone. */
const FORGET_AFTER_MS = 600_000;

const TRIAL_ID = 'trial';

export async function createRoster(store: EngineStore, trial: Trial, clock: Clock): Promise<Roster> {
  let manual = await store.load();
  const found = new Map<string, { readonly known: Known; lastSeenMs: number }>();
  /** Made anew when the list changes: every request looks here. */
  let byId: ReadonlyMap<string, Known> = new Map();

  function update(): void {
    const { running, baseUrl, slots } = trial.state();
    const all = [
      ...manual.map(manualKnown),
      ...(running && baseUrl !== null ? [trialKnown(baseUrl, slots)] : []),
      ...[...found.values()].map(({ known }) => known),
    ];
    byId = new Map(all.map((known) => [known.ref.id, known]));
  }

  async function reload(): Promise<void> {
    manual = await store.load();
    update();
  }

  const find = (id: string): Known | null => byId.get(id) ?? null;

  function findAt(baseUrl: string): Known | null {
    const place = placeOf(baseUrl);
    return [...byId.values()].find(({ ref }) => placeOf(ref.baseUrl) === place) ?? null;
  }

  function isTaken(id: string, baseUrl: string): boolean {
    const known = find(id);
    return id === TRIAL_ID || (known !== null && placeOf(known.ref.baseUrl) !== placeOf(baseUrl));
  }

  function freeId(wanted: string): string {
    let id = wanted;
    for (let n = 2; byId.has(id); n++) id = `${wanted}-${n}`;
    return id;
  }

  update();

  return {
    all: () => [...byId.values()],
    find,
    findAt,
    manual: () => manual,
    isTaken,
    update,

    idFor(kind, baseUrl) {
      const here = findAt(baseUrl);
      if (here !== null && here.ref.kind === kind) return here.ref.id;
      const wanted = idOf(kind, baseUrl);
      return isTaken(wanted, baseUrl) ? freeId(wanted) : wanted;
    },

    async add(engine) {
      await store.insert(engine, clock.nowMs());
      for (const [id, { known }] of found) {
        if (placeOf(known.ref.baseUrl) === placeOf(engine.baseUrl)) found.delete(id);
      }
      await reload();
    },

    async remove(id) {
      await store.remove(id);
      await reload();
    },

    addFound({ kind, baseUrl }) {
      if (findAt(baseUrl) !== null) return;
      const id = freeId(idOf(kind, baseUrl));
      const ref: EngineRef = { id, kind, baseUrl, origin: 'detected' };
      const known = { ref, target: { baseUrl, credential: null }, slots: null };
      found.set(id, { known, lastSeenMs: clock.monotonicMs() });
      update();
    },

    seen(id) {
      const entry = found.get(id);
      if (entry !== undefined) entry.lastSeenMs = clock.monotonicMs();
    },

    drop(id) {
      if (found.delete(id)) update();
    },

    forgetGone() {
      const now = clock.monotonicMs();
      for (const [id, { lastSeenMs }] of found) if (now - lastSeenMs > FORGET_AFTER_MS) found.delete(id);
      update();
    },
  };
}

function manualKnown({ id, kind, baseUrl, slots, credential }: ManualEngine): Known {
  const origin: EngineOrigin = 'manual';
  return { ref: { id, kind, baseUrl, origin }, target: { baseUrl, credential }, slots };
}

function trialKnown(baseUrl: string, slots: number): Known {
  const ref: EngineRef = { id: TRIAL_ID, kind: 'llamacpp', baseUrl, origin: 'trial' };
  return { ref, target: { baseUrl, credential: null }, slots };
}
