/** What a name means at this moment, where a request for it can go, and why it can go nowhere. */
import type { InferenceRoute, Plan } from '../contract';
import { FlmError } from '../lib/errors';
import { parseModelName } from '../lib/model-name';
import { suggest } from '../lib/suggest';
import type { Catalogue, Entry } from './catalogue';
import type { Chooser, FoundPlace, Mode } from './chooser';
import type { Strategy } from './rank';
import type { Alias, Rules } from './rules';
import { type Allowed, type FoundAlias, usableName } from './view';

export interface Planner {
  /** Every copy that a name, an alias or an address means. @throws INVALID_MODEL */
  find(name: string): readonly Entry[];
  /** An alias with what its targets mean. */
  targetsOf(alias: Alias): FoundAlias;
  /** How one of several copies is chosen when the name is asked for. @throws INVALID_MODEL */
  strategyOf(name: string): Strategy;
  /** Null when nobody has a copy that `allowed` lets through. @throws INVALID_MODEL, ROUTE_NOT_SUPPORTED */
  plan(model: string, route: InferenceRoute, allowed: Allowed | null): Plan | null;
  /** All copies in the order they would be asked in, whatever their engines speak. @throws INVALID_MODEL */
  preview(name: string): readonly Entry[];
  /** Why a name means nothing: MODEL_NOT_FOUND or ENGINE_NOT_FOUND. Of an alias, not what it stands for. */
  absent(name: string, allowed: Allowed | null): FlmError;
  /** The same with the nearest name there is: for the owner alone, since a key may not know every name. */
  absentNear(name: string): FlmError;
}

interface PlannerParts {
  /** The snapshot in force. */
  readonly catalogue: () => Catalogue;
  readonly rules: Rules;
  readonly chooser: Chooser;
}

/** More names in a message help nobody. */
const MAX_NAMED = 10;

export function createPlanner({ catalogue, rules, chooser }: PlannerParts): Planner {
  function find(name: string): readonly Entry[] {
    const alias = rules.alias(name);
    if (alias === null) return catalogue().find(name);
    return [...new Set(targetsOf(alias).targets.flatMap(({ entries }) => entries))];
  }

  function targetsOf(alias: Alias): FoundAlias {
    const targets = alias.places.flat();
    return { alias, targets: targets.map(({ model }) => ({ model, entries: catalogue().find(model) })) };
  }

  /** Set for the name itself, or for what the engine calls the same model. */
  function strategyFor(name: string, [entry]: readonly Entry[]): Strategy {
    const own = rules.strategy(name);
    if (own !== null || entry === undefined) return own ?? 'least-busy';
    return rules.strategy(entry.model) ?? 'least-busy';
  }

  function ordered(name: string, speaks: (entry: Entry) => boolean, mode: Mode): readonly Entry[] {
    const alias = rules.alias(name);
    if (alias !== null) return chooser.places(name, aliasStrategy(alias), placesOf(alias, speaks), mode);
    const entries = catalogue().find(name);
    const able = entries.every(speaks) ? entries : entries.filter(speaks);
    // Most models are on one engine.
    return able.length < 2 ? able : chooser.copies(name, strategyFor(name, able), able, mode);
  }

  /** The places of which something is there. */
  function placesOf(alias: Alias, speaks: (entry: Entry) => boolean): FoundPlace[] {
    const places = alias.places.map((place) =>
      place.flatMap((target) => {
        const entries = catalogue().find(target.model).filter(speaks);
        // Its own name among its targets is the model that it shadows, which has no strategy of its own.
        const strategy = target.model === alias.name ? 'least-busy' : strategyFor(target.model, entries);
        return entries.length === 0 ? [] : [{ ...target, entries, strategy }];
      }),
    );
    return places.filter((place) => place.length > 0);
  }

  function absent(name: string, allowed: Allowed | null): FlmError {
    const parsed = parseModelName(name);
    if (parsed.kind === 'address' && !catalogue().hasEngine(parsed.engine)) {
      const ofKind = catalogue().enginesOf(parsed.engine).filter(knownTo(allowed));
      const hint = `Several engines are of that kind: ${ofKind.join(', ')}. Name one of them.`;
      return new FlmError('ENGINE_NOT_FOUND', {
        meta: { engine: parsed.engine },
        param: 'model',
        ...(ofKind.length > 1 ? { hint } : {}),
      });
    }
    return new FlmError('MODEL_NOT_FOUND', { meta: { model: name }, param: 'model' });
  }

  /** The ids of engines that somebody with a list may know of: those with a model that it may use. */
  function knownTo(allowed: Allowed | null): (engineId: string) => boolean {
    if (allowed === null) return () => true;
    const usable = catalogue().entries.filter((entry) => usableName(entry, allowed) !== null);
    const ids = new Set(usable.map(({ engine }) => engine.id));
    return (engineId) => ids.has(engineId);
  }

  return {
    find,
    targetsOf,
    absent,

    strategyOf(name) {
      const alias = rules.alias(name);
      return alias === null ? strategyFor(name, catalogue().find(name)) : aliasStrategy(alias);
    },

    plan(model, route, allowed) {
      const may = (entry: Entry) => allowed === null || allowed(entry, model);
      // Before a turn is taken for what will be refused.
      if (allowed !== null && !find(model).some(may)) return null;
      const candidates = ordered(model, ({ routes }) => routes.includes(route), 'ask');
      if (candidates.some(may)) return { requested: model, candidates };
      if (find(model).length === 0) return null;
      const others = othersText(catalogue().speakersOf(route).filter(knownTo(allowed)), allowed !== null);
      throw new FlmError('ROUTE_NOT_SUPPORTED', { meta: { model, route, others }, param: 'model' });
    },

    preview: (name) => ordered(name, () => true, 'look'),

    absentNear(name) {
      const error = absent(name, null);
      if (error.code !== 'MODEL_NOT_FOUND') return error;
      const near = suggest(name, knownNames(name));
      if (near === null) return error;
      const hint = `Did you mean ${near}?`;
      return new FlmError('MODEL_NOT_FOUND', { meta: { model: name }, param: 'model', hint });
    },
  };

  /** Names of the kind that `like` is of. */
  function knownNames(like: string): string[] {
    if (parseModelName(like).kind === 'address') return catalogue().entries.map(({ uri }) => uri);
    return [...rules.aliases().map(({ name }) => name), ...catalogue().names()];
  }
}

/** Of an alias, the order and the weights of its targets say it all unless the owner says otherwise. */
function aliasStrategy(alias: Alias): Strategy {
  return alias.strategy ?? 'manual';
}

function othersText(engines: readonly string[], limited: boolean): string {
  if (engines.length === 0) return `no running engine${limited ? ' with a model for this key' : ''} does`;
  const more = engines.length > MAX_NAMED ? ` and ${engines.length - MAX_NAMED} more` : '';
  return `with another model, these engines may: ${engines.slice(0, MAX_NAMED).join(', ')}${more}`;
}
