/**
 * One catalogue of the models of all engines, as an immutable snapshot: made anew when an engine changes, looked up
 * without waiting. Where two engines have a model of the same name, the plain name means whichever is best.
 */
import type { Candidate, EngineModel, EngineRef, EngineState, InferenceRoute } from '../contract';
import { addressOf, parseModelName } from '../lib/model-name';

/** A model on one engine. */
export interface Entry extends Candidate {
  /** `flm://<engine>/<model>` with the engine's id and its own name of the model. */
  readonly uri: string;
  readonly about: EngineModel;
  /** What the engine can be asked for. */
  readonly routes: readonly InferenceRoute[];
}

export interface Catalogue {
  /** Every copy of every running engine, in the order of the engines. */
  readonly entries: readonly Entry[];
  /** The copies of each model by the engines' own names for it. */
  readonly byId: ReadonlyMap<string, readonly Entry[]>;
  /**
   * The copies that a name means: plain, then all engines that call a model so or take that name for one; or an address,
   * then the copy on one engine, which goes by its id, or by its kind when only one of that kind runs.
   * @throws INVALID_MODEL
   */
  find(name: string): readonly Entry[];
  /** Whether a running engine answers to that id or kind. */
  hasEngine(engine: string): boolean;
  /** The ids of the running engines of a kind. */
  enginesOf(kind: string): readonly string[];
  /** The ids of running engines that can be asked for a route. */
  speakersOf(route: InferenceRoute): readonly string[];
  /** Every plain name that means something, other names included. */
  names(): Iterable<string>;
}

export function createCatalogue(states: readonly EngineState[]): Catalogue {
  const running = states.filter((state) => state.status.startsWith('running-'));
  const perEngine = running.map(entriesOf);
  const entries = perEngine.flat();
  const plain = new Map<string, Entry[]>();
  const addresses = new Map<string, Entry>();
  for (const own of perEngine) {
    for (const [name, entry] of namesOf(own)) {
      const copies = plain.get(name);
      if (copies === undefined) plain.set(name, [entry]);
      else copies.push(entry);
      addresses.set(addressOf(entry.engine.id, name), entry);
    }
  }

  function findEngine(name: string): EngineRef | null {
    const byId = running.find((state) => state.ref.id === name);
    if (byId !== undefined) return byId.ref;
    const ofKind = running.filter((state) => state.ref.kind === name);
    return ofKind.length === 1 ? (ofKind[0]?.ref ?? null) : null;
  }

  function findAddress(engine: string, model: string): Entry | null {
    const direct = addresses.get(addressOf(engine, model));
    if (direct !== undefined) return direct;
    const ref = findEngine(engine);
    return ref === null ? null : (addresses.get(addressOf(ref.id, model)) ?? null);
  }

  return {
    entries,
    byId: Map.groupBy(entries, (entry) => entry.model),
    find(name) {
      const parsed = parseModelName(name);
      if (parsed.kind === 'plain') return plain.get(parsed.model) ?? [];
      const entry = findAddress(parsed.engine, parsed.model);
      return entry === null ? [] : [entry];
    },
    hasEngine: (name) => findEngine(name) !== null,
    enginesOf: (kind) => running.filter(({ ref }) => ref.kind === kind).map(({ ref }) => ref.id),
    speakersOf: (route) => running.filter(({ routes }) => routes.includes(route)).map(({ ref }) => ref.id),
    names: () => plain.keys(),
  };
}

/** Whether two lists of engines make the same catalogue: most looks find what the last one found. */
export function isSameCatalogue(before: readonly EngineState[], after: readonly EngineState[]): boolean {
  return before.length === after.length && before.every((state, index) => hasSame(state, after[index]));
}

function hasSame(a: EngineState, b: EngineState | undefined): boolean {
  if (a === b) return true;
  return (
    b !== undefined &&
    a.status.startsWith('running-') === b.status.startsWith('running-') &&
    Bun.deepEquals([a.ref, a.routes, a.models], [b.ref, b.routes, b.models])
  );
}

function entriesOf({ ref, routes, models }: EngineState): Entry[] {
  return models.map((about) => ({
    engine: ref,
    model: about.id,
    uri: addressOf(ref.id, about.id),
    about,
    routes,
  }));
}

/** The names that one engine takes, and what each means there: what a model is called wins over what it is also called. */
function namesOf(entries: readonly Entry[]): ReadonlyMap<string, Entry> {
  const names = new Map(entries.map((entry) => [entry.model, entry]));
  for (const entry of entries) {
    for (const name of entry.about.otherNames) if (!names.has(name)) names.set(name, entry);
  }
  return names;
}
