/**
 * One catalogue of the models of all engines, as an immutable snapshot: made anew when an engine changes, looked up
 * without waiting. Where two engines have a model of the same name, the plain name means whichever is best.
 */
import type { Candidate, EngineModel, EngineRef, EngineState } from '../contract';
import { addressOf } from './address';
import type { ModelView, OpenAiModel } from './model';

export interface Entry extends Candidate {
  readonly about: EngineModel;
}

export interface Catalogue {
  /** Copies of a model by its plain name, fastest engine first. */
  byName(name: string): readonly Entry[];
  /** The copy on one engine; the engine by its id, or by its kind when only one of that kind runs. */
  byAddress(engine: string, model: string): Entry | null;
  /** Whether a running engine answers to that id or kind. */
  hasEngine(engine: string): boolean;
  readonly entries: readonly Entry[];
}

export function createCatalogue(states: readonly EngineState[]): Catalogue {
  const running = states
    .filter((state) => state.status.startsWith('running-'))
    .sort((a, b) => (a.latencyMs ?? 0) - (b.latencyMs ?? 0));
  const entries = running.flatMap((state) =>
    state.models.map((about) => ({ engine: state.ref, model: about.id, about })),
  );
  const names = Map.groupBy(entries, (entry) => entry.model);
  const addresses = new Map(entries.map((entry) => [addressOf(entry.engine.id, entry.model), entry]));

  function findEngine(name: string): EngineRef | null {
    const byId = running.find((state) => state.ref.id === name);
    if (byId !== undefined) return byId.ref;
    const ofKind = running.filter((state) => state.ref.kind === name);
    return ofKind.length === 1 ? (ofKind[0]?.ref ?? null) : null;
  }

  return {
    entries,
    byName: (name) => names.get(name) ?? [],
    byAddress(engine, model) {
      const direct = addresses.get(addressOf(engine, model));
      if (direct !== undefined) return direct;
      const ref = findEngine(engine);
      return ref === null ? null : (addresses.get(addressOf(ref.id, model)) ?? null);
    },
    hasEngine: (name) => findEngine(name) !== null,
  };
}

export function viewOf({ engine, model, about }: Entry): ModelView {
  return {
    id: model,
    uri: addressOf(engine.id, model),
    engine: engine.id,
    kind: engine.kind,
    loaded: about.loaded,
    context_length: about.contextLength,
    capabilities: [...about.capabilities],
  };
}

/** An entry as OpenAI's clients know it, under the name they asked for. */
export function openAiEntry(id: string, entry: Entry): OpenAiModel {
  const { uri, engine, kind, loaded, context_length, capabilities } = viewOf(entry);
  return {
    id,
    object: 'model',
    created: entry.about.createdSeconds,
    owned_by: entry.about.ownedBy,
    flm: { uri, engine, kind, loaded, context_length, capabilities },
  };
}
