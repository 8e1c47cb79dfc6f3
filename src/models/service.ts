/** The models of all engines: where a request can go, lists of what there is, and what the owner says of names. */
import type { Clock, EngineRef, EngineState, InferenceRoute, Plan } from '../contract';
import { FlmError } from '../lib/errors';
import { parseModelName } from '../lib/model-name';
import { createAway } from './away';
import { createCatalogue, isSameCatalogue } from './catalogue';
import { createChooser, type StandingOf } from './chooser';
import { createListing, type Listing } from './listing';
import type { ModelsApi, OpenAiModel, StrategyView } from './model';
import { createPlanner } from './planner';
import { type Alias, createRules } from './rules';
import type { RuleStore } from './store';
import { type Allowed, aliasEntry, aliasView, copyView, openAiEntry, viewOf } from './view';

export interface Models extends ModelsApi {
  /** Whether a name is an alias at this moment, also one of which nothing is there. */
  isAlias(name: string): boolean;
  /** Takes over what is known of the engines. */
  update(states: readonly EngineState[]): void;
  /**
   * Where a request for `model` can go, best first. Waits only when nobody has the model: then the engines are asked
   * once more, because it may have appeared since. What `allowed` does not let through is as good as absent, in what is
   * told and in how long that takes; null lets everything through.
   * @throws INVALID_MODEL, MODEL_NOT_ALLOWED, MODEL_NOT_FOUND, MODEL_UNAVAILABLE, ENGINE_NOT_FOUND;
   *   ROUTE_NOT_SUPPORTED when no engine with the model speaks it
   */
  plan(model: string, route: InferenceRoute, allowed: Allowed | null): Plan | Promise<Plan>;
  /** `GET /v1/models` for somebody who may use what `allowed` lets through, each model once. */
  openAiList(allowed: Allowed): OpenAiModel[];
  /** The whole answer as JSON, ready to be sent; null for somebody who may use everything. */
  openAiListJson(allowed: Allowed | null): string;
  /** `GET /v1/models/{id}`. @throws as plan */
  openAiModel(model: string, allowed: Allowed | null): Promise<OpenAiModel>;
}

/** Asks the engines what they have, unless that was done less than `maxAgeMs` ago; resolves when the answers are in. */
export type Refresh = (maxAgeMs: number) => Promise<void>;

export interface ModelsOptions {
  readonly refresh: Refresh;
  readonly standingOf: StandingOf;
  readonly store: RuleStore;
  readonly clock: Clock;
  /** Why an engine that is known cannot be asked, where that is not its own doing. */
  readonly whyAway?: (engine: EngineRef) => FlmError | null;
}

/** A model that nobody has is looked for at most this often, however many ask for it. */
const MISS_MS = 2_000;
/** An engine that comes back is seen within this time, more or less. */
const RETRY_SECONDS = 5;
/** Lists show a look that is at most this old. */
const FRESH_MS = 15_000;

function unavailable(model: string): FlmError {
  return new FlmError('MODEL_UNAVAILABLE', {
    meta: { model, retryAfterSeconds: RETRY_SECONDS },
    param: 'model',
  });
}

export async function createModels(options: ModelsOptions): Promise<Models> {
  const { refresh, standingOf, store, clock, whyAway = () => null } = options;
  /** What the catalogue is made of. */
  let engines: readonly EngineState[] = [];
  let catalogue = createCatalogue(engines);
  /** Made when it is asked for, dropped when what it is made of changes. */
  let listing: Listing | null = null;
  const onChange = () => {
    listing = null;
  };
  const away = createAway();
  const isModel = (name: string) => catalogue.find(name).length > 0 || away.find(name).length > 0;
  const rules = await createRules({ store, clock, onChange, isModel });
  const chooser = createChooser(standingOf);
  const planner = createPlanner({ catalogue: () => catalogue, rules, chooser });

  function requireListing(): Listing {
    listing ??= createListing(catalogue.byId, rules.aliases().map(planner.targetsOf));
    return listing;
  }

  /**
   * Why nobody can be asked for a model: who comes back may be asked again, who does not exist may not. A key with a list
   * learns that of what is on it alone.
   */
  function absent(model: string, allowed: Allowed | null): FlmError {
    const copies = (rules.alias(model)?.places.flat() ?? [{ model }]).flatMap((target) =>
      away.find(target.model),
    );
    if (allowed !== null && !allowed(null, model) && !copies.some((entry) => allowed(entry, model)))
      return new FlmError(allowed.isOfPolicy === true ? 'MODEL_NOT_IN_POLICY' : 'MODEL_NOT_ALLOWED', {
        meta: { model },
        param: 'model',
      });
    const asked = parseModelName(model);
    const status = asked.kind === 'plain' ? null : statusOf(asked.engine);
    if (asked.kind === 'address' && status === 'needs-key')
      return new FlmError('ENGINE_NEEDS_KEY', { meta: { engine: asked.engine }, param: 'model' });
    const isAway = status !== null && !status.startsWith('running-');
    if (copies.length === 0 && !isAway) return planner.absent(model, allowed);
    const places = copies.map(({ engine }) => engine);
    if (asked.kind === 'address')
      places.push(...engines.map(({ ref }) => ref).filter(({ id }) => id === asked.engine));
    return places.map(whyAway).find((reason) => reason !== null) ?? unavailable(model);
  }

  const statusOf = (engineId: string) => engines.find(({ ref }) => ref.id === engineId)?.status ?? null;

  function viewOfAlias(alias: Alias) {
    const shadows = catalogue.find(alias.name).length > 0;
    return aliasView(planner.targetsOf(alias), planner.strategyOf(alias.name), shadows);
  }

  function viewOfStrategy(name: string): StrategyView {
    const set = rules.strategy(name) !== null;
    return { name, strategy: planner.strategyOf(name), set, copies: planner.find(name).length };
  }

  return {
    isAlias: (name) => rules.alias(name) !== null,

    update(states) {
      const before = engines;
      engines = [...states];
      away.update(engines);
      if (isSameCatalogue(before, engines)) return;
      catalogue = createCatalogue(engines);
      listing = null;
      chooser.prune((name) => planner.find(name).length > 0);
    },

    plan(model, route, allowed) {
      const plan = planner.plan(model, route, allowed);
      if (plan !== null) return plan;
      return refresh(MISS_MS).then(() => {
        const later = planner.plan(model, route, allowed);
        if (later === null) throw absent(model, allowed);
        return later;
      });
    },

    openAiList: (allowed) => requireListing().list(allowed),
    openAiListJson: (allowed) => requireListing().json(allowed),

    async openAiModel(model, allowed) {
      const look = () => planner.find(model).find((each) => allowed === null || allowed(each, model));
      let entry = look();
      if (entry === undefined) {
        await refresh(MISS_MS);
        entry = look();
      }
      if (entry === undefined) throw absent(model, allowed);
      const alias = rules.alias(model);
      return alias === null ? openAiEntry(model, entry) : aliasEntry(planner.targetsOf(alias), allowed);
    },

    async list(engine) {
      await refresh(FRESH_MS);
      const isMeant = ({ id, kind }: EngineRef) => engine === null || id === engine || kind === engine;
      const entries = catalogue.entries.filter((entry) => isMeant(entry.engine));
      // One that does not run has nothing to list, and is there all the same.
      if (engine !== null && !engines.some(({ ref }) => isMeant(ref))) {
        throw new FlmError('ENGINE_NOT_FOUND', { meta: { engine } });
      }
      return { items: entries.map(viewOf), next: null };
    },

    async show(name) {
      await refresh(FRESH_MS);
      const alias = rules.alias(name);
      const copies = planner.preview(name).map((entry) => {
        const engine = engines.find(({ ref }) => ref.id === entry.engine.id);
        return copyView(entry, standingOf(entry), engine ?? null);
      });
      if (alias === null && copies.length === 0) throw planner.absentNear(name);
      const shown = alias === null ? null : viewOfAlias(alias);
      return { name, alias: shown, strategy: planner.strategyOf(name), copies };
    },

    async aliases() {
      await refresh(FRESH_MS);
      return { items: rules.aliases().map(viewOfAlias), next: null };
    },

    async setAlias(input) {
      // What is a model's name and what is a slip depends on what the engines have.
      await refresh(FRESH_MS);
      return viewOfAlias(await rules.setAlias(input));
    },

    async removeAlias(name) {
      await rules.removeAlias(name);
      return { name, removed: true };
    },

    async strategies() {
      await refresh(FRESH_MS);
      return { items: rules.strategies().map(({ name }) => viewOfStrategy(name)), next: null };
    },

    async setStrategy(input) {
      await rules.setStrategy(input);
      await refresh(FRESH_MS);
      return viewOfStrategy(input.name);
    },

    async unsetStrategy(name) {
      await rules.unsetStrategy(name);
      await refresh(FRESH_MS);
      return viewOfStrategy(name);
    },
  };
}
