/** How models, aliases and strategies are shown: to their owner, and to clients as OpenAI does. */
import type { Candidate, EngineState, Standing } from '../contract';
import { addressOf } from '../lib/model-name';
import type { Entry } from './catalogue';
import type { AliasView, CopyView, ModelView, OpenAiModel } from './model';
import type { Strategy } from './rank';
import type { Alias } from './rules';

/** Whether somebody may use a candidate when asking for it as `asked`; null: whether the name itself, whatever it means. */
export interface Allowed {
  (candidate: Candidate | null, asked: string): boolean;
  /** That the key has no list of its own: what is not allowed, the policy refuses. */
  readonly isOfPolicy?: boolean;
}

/** The name by which a copy may be asked for on its engine: its own, else one that it is also called; null without one. */
export function usableName(entry: Entry, allowed: Allowed): string | null {
  if (allowed(entry, entry.uri)) return entry.model;
  const may = (name: string) => allowed(entry, addressOf(entry.engine.id, name));
  return entry.about.otherNames.find(may) ?? null;
}

/** An alias, with what its targets mean at this moment. */
export interface FoundAlias {
  readonly alias: Alias;
  readonly targets: readonly { readonly model: string; readonly entries: readonly Entry[] }[];
}

const TROUBLED = 'its recent requests for the model failed too often, or began too late';

export function viewOf({ engine, model, uri, about }: Entry): ModelView {
  return {
    id: model,
    other_names: [...about.otherNames],
    uri,
    engine: engine.id,
    kind: engine.kind,
    loaded: about.loaded,
    context_length: about.contextLength,
    capabilities: [...about.capabilities],
    family: about.family,
    parameters: about.parameters,
    quantization: about.quantization,
    size_bytes: about.sizeBytes,
  };
}

/** `engine`: how the engine was when last looked at, which knows its slots and its troubles. */
export function copyView(entry: Entry, standing: Standing, engine: EngineState | null): CopyView {
  // Where nobody says how many it takes, a figure for the queue stands in, which says nothing of the engine.
  const tellsSlots = engine !== null && engine.slots !== null;
  return {
    ...viewOf(entry),
    routes: [...entry.routes],
    standing: {
      available: standing.available,
      degraded: standing.degraded,
      reason: standing.degraded ? (engine?.reason ?? TROUBLED) : null,
      slots: tellsSlots ? standing.slots : null,
      free_slots: tellsSlots ? standing.freeSlots : null,
      latency_ms: standing.latencyMs,
      error_rate: standing.errorRate,
      tokens_per_second: standing.tokensPerSecond,
    },
  };
}

export function aliasView({ alias, targets }: FoundAlias, strategy: Strategy, shadows: boolean): AliasView {
  const copies = new Map(targets.map(({ model, entries }) => [model, entries.length]));
  return {
    name: alias.name,
    places: alias.places.map((place) =>
      place.map(({ model, weight }) => ({ model, weight, copies: copies.get(model) ?? 0 })),
    ),
    strategy,
    shadows,
    updated_at: new Date(alias.updatedAtMs).toISOString(),
  };
}

/** An entry as OpenAI's clients know it, under the name they asked for. Where the engine is stays the owner's business. */
export function openAiEntry(id: string, { engine, uri, about }: Entry): OpenAiModel {
  return {
    id,
    object: 'model',
    created: about.createdSeconds,
    owned_by: about.ownedBy,
    flm: {
      uri,
      engine: engine.id,
      kind: engine.kind,
      loaded: about.loaded,
      context_length: about.contextLength,
      capabilities: about.capabilities,
      family: about.family,
      parameters: about.parameters,
      quantization: about.quantization,
    },
  };
}

/**
 * An alias as OpenAI's clients know a model: what can be counted on whichever target answers. Whoever may use the alias
 * alone is not told what is behind it.
 */
export function aliasEntry({ alias, targets }: FoundAlias, allowed: Allowed | null): OpenAiModel {
  const abouts = targets.flatMap(({ entries }) => entries.map(({ about }) => about));
  const contexts = abouts.flatMap(({ contextLength }) => contextLength ?? []);
  const [first, ...others] = abouts;
  return {
    id: alias.name,
    object: 'model',
    created: Math.floor(alias.updatedAtMs / 1_000),
    owned_by: 'flm',
    flm: {
      uri: null,
      engine: null,
      kind: null,
      loaded: abouts.some(({ loaded }) => loaded === true) ? true : null,
      context_length: contexts.length === 0 ? null : Math.min(...contexts),
      capabilities: (first?.capabilities ?? []).filter((each) =>
        others.every(({ capabilities }) => capabilities.includes(each)),
      ),
      family: null,
      parameters: null,
      quantization: null,
      alias_of: targets
        .filter(({ entries }) => entries.some((entry) => allowed === null || allowed(entry, entry.uri)))
        .map(({ model }) => model),
    },
  };
}
