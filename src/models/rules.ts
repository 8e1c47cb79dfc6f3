/** What the owner says of names, in memory and on disk: aliases, and strategies. Nothing on a request's path waits here. */
import type { AuditEvent, Clock } from '../contract';
import { FlmError } from '../lib/errors';
import type { AliasInput, StrategyInput } from './model';
import type { Strategy } from './rank';
import type { Rule, RuleStore } from './store';
import { checkPlaces, formatTargets, isBadWeight, isReadable, MAX_WEIGHT, type Place } from './targets';

/** A rule that says what a name stands for. */
export interface Alias extends Rule {
  readonly places: readonly Place[];
}

/** A rule that says how to choose. */
export interface Choice extends Rule {
  readonly strategy: Strategy;
}

export interface Rules {
  alias(name: string): Alias | null;
  strategy(name: string): Strategy | null;
  /** Both by name. */
  aliases(): readonly Alias[];
  strategies(): readonly Choice[];
  /** @throws INVALID_INPUT */
  setAlias(input: AliasInput): Promise<Alias>;
  /** @throws ALIAS_NOT_FOUND */
  removeAlias(name: string): Promise<void>;
  /** @throws INVALID_INPUT */
  setStrategy(input: StrategyInput): Promise<void>;
  unsetStrategy(name: string): Promise<void>;
}

export interface RulesOptions {
  readonly store: RuleStore;
  readonly clock: Clock;
  /** Told after each change that is in force. */
  readonly onChange: () => void;
  /** Whether an engine has a model that goes by that name, aliases aside. */
  readonly isModel: (name: string) => boolean;
}

export async function createRules({ store, clock, onChange, isModel }: RulesOptions): Promise<Rules> {
  let rules = index(await store.load());

  async function reload(): Promise<void> {
    rules = index(await store.load());
    onChange();
  }

  const alias = (name: string): Alias | null => {
    const rule = rules.get(name);
    return rule !== undefined && isAlias(rule) ? rule : null;
  };

  /** Aliases stand for models, in whichever order they are made. @throws INVALID_INPUT */
  function checkNesting(name: string, targets: Place): void {
    // Its own name is that of the model it shadows: targets are looked up among the engines alone.
    const nested = targets.find(({ model }) => model !== name && alias(model) !== null);
    if (nested !== undefined)
      throw invalid('targets', `"${nested.model}" is an alias itself, and aliases stand for models`);
    // Those that stand for a model go on doing so when another name hides it.
    if (isModel(name)) return;
    const users = [...rules.values()]
      .filter(isAlias)
      .filter((other) => other.name !== name && other.places.flat().some(({ model }) => model === name))
      .map((other) => `"${other.name}"`);
    if (users.length === 0) return;
    const verb = users.length === 1 ? 'stands' : 'stand';
    throw invalid(
      'name',
      `${users.join(', ')} ${verb} for it, and aliases stand for models, not for aliases`,
    );
  }

  /** Refuses targets that can only be slips, unless an engine has a model that is called so. @throws INVALID_INPUT */
  function checkMeaning(name: string, targets: Place): void {
    const slip = targets.find(({ model }) => isBadWeight(model) && !isModel(model));
    if (slip !== undefined) {
      const weight = slip.model.slice(slip.model.lastIndexOf('=') + 1).trim();
      const reason = `"${weight}" in "${slip.model}" is no weight, which is a whole number from 1 to ${MAX_WEIGHT}, and no engine has a model of that name`;
      throw invalid('targets', reason);
    }
    if (targets.every(({ model }) => model === name) && !isModel(name))
      throw invalid(
        'targets',
        `"${name}" would stand for itself alone, and no engine has a model of that name`,
      );
  }

  return {
    alias,
    strategy: (name) => rules.get(name)?.strategy ?? null,
    aliases: () => [...rules.values()].filter(isAlias),
    strategies: () => [...rules.values()].filter(hasStrategy),

    async setAlias({ name, places: given }) {
      checkName(name);
      checkAliasName(name);
      const places = given.map((place) => place.map(({ model, weight = 1 }) => ({ model, weight })));
      checkPlaces(places);
      checkNesting(name, places.flat());
      checkMeaning(name, places.flat());
      const strategy = rules.get(name)?.strategy ?? null;
      const rule = { name, places, strategy, updatedAtMs: clock.nowMs() };
      const before = alias(name);
      const details = {
        targets: formatTargets(places),
        before: before === null ? null : formatTargets(before.places),
      };
      await store.put(rule, eventOf('model.alias_set', name, details));
      await reload();
      return rule;
    },

    async removeAlias(name) {
      const known = alias(name);
      if (known === null) throw new FlmError('ALIAS_NOT_FOUND', { meta: { name } });
      const details = { before: formatTargets(known.places), strategy: known.strategy };
      await store.remove(name, eventOf('model.alias_removed', name, details));
      await reload();
    },

    async setStrategy({ name, strategy }) {
      checkName(name);
      const before = rules.get(name);
      const places = before?.places ?? null;
      const rule = { name, places, strategy, updatedAtMs: clock.nowMs() };
      await store.put(
        rule,
        eventOf('model.strategy_set', name, { strategy, before: before?.strategy ?? null }),
      );
      await reload();
    },

    async unsetStrategy(name) {
      const rule = rules.get(name);
      if (rule === undefined || rule.strategy === null) return;
      const event = eventOf('model.strategy_unset', name, { before: rule.strategy });
      if (rule.places === null) await store.remove(name, event);
      else await store.put({ ...rule, strategy: null, updatedAtMs: clock.nowMs() }, event);
      await reload();
    },
  };
}

function eventOf(type: AuditEvent['type'], name: string, details: AuditEvent['details']): AuditEvent {
  return { type, severity: 'low', target: `model:${name}`, details };
}

function index(rules: readonly Rule[]): ReadonlyMap<string, Rule> {
  return new Map(rules.map((rule) => [rule.name, rule]));
}

function isAlias(rule: Rule): rule is Alias {
  return rule.places !== null;
}

function hasStrategy(rule: Rule): rule is Choice {
  return rule.strategy !== null;
}

/** @throws INVALID_INPUT when a name cannot be one that the owner says something of */
function checkName(name: string): void {
  const reason =
    name === '' || name.length > 200
      ? 'it takes 1 to 200 characters'
      : name.startsWith('flm://')
        ? 'flm:// is the beginning of an address, which means one engine'
        : name.trim() !== name
          ? 'it begins or ends with a blank'
          : isReadable(name)
            ? null
            : 'it holds characters that cannot be seen';
  if (reason !== null) throw invalid('name', reason);
}

/** @throws INVALID_INPUT for what could not be said in targets, or in what a key may use */
function checkAliasName(name: string): void {
  const [bad] = /[,|=*]/.exec(name) ?? [];
  if (bad === undefined) return;
  const use = bad === '*' ? 'the lists of models of keys' : 'what aliases stand for';
  throw invalid('name', `it holds "${bad}", which has a meaning in ${use}`);
}

function invalid(field: 'name' | 'targets', reason: string): FlmError {
  return new FlmError('INVALID_INPUT', { meta: { field, reason } });
}
