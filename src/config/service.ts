/** One frozen snapshot of all settings, put together from five sources and swapped at once when one changes. */
import type { Clock } from '../contract';
import type { Bus } from '../lib/bus';
import type { Log } from '../lib/log';
import type { Env } from '../lib/paths';
import type { ConfigApi, SettingChange, SettingSource, SettingView } from './model';
import { type ConfigSnapshot, envNameOf, SETTING_KEYS, SETTINGS, type SettingKey } from './schema';
import { parseSetting, readEnv, readToml, requireSettingKey, type SourceValues } from './sources';
import type { SettingsStore } from './store';

export interface Config extends ConfigApi {
  /** The settings in force. Take it once per request: it does not change under your hands. */
  current(): ConfigSnapshot;
  /**
   * Reads flm.toml and the database again. Returns the settings that have another value now, and those that wait for a
   * restart. @throws CONFIG_FILE_INVALID: then everything stays as it was
   */
  reload(): Promise<Reloaded>;
}

export interface Reloaded {
  readonly changed: readonly SettingKey[];
  readonly waits: readonly SettingKey[];
}

export interface ConfigOptions {
  readonly store: SettingsStore;
  readonly env: Env;
  readonly tomlPath: string;
  /** Settings given on the command line, which win over everything. */
  readonly flags: Partial<ConfigSnapshot>;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly log: Log;
  /** Whether a proxy runs on this configuration; without one every change is simply applied. */
  readonly running: boolean;
}

const PRECEDENCE = ['flag', 'env', 'database', 'file', 'default'] as const satisfies readonly SettingSource[];

type Sources = { readonly [Source in SettingSource]: SourceValues };

/**
 * Reads all sources and freezes the first snapshot.
 * @throws CONFIG_FILE_INVALID when flm.toml or a variable is wrong: better no start than a surprising one.
 */
export async function createConfig(options: ConfigOptions): Promise<Config> {
  let fixed = {
    flag: new Map(Object.entries(options.flags)) as SourceValues,
    env: readEnv(options.env),
    file: readToml(options.tomlPath),
    default: new Map(SETTING_KEYS.map((key) => [key, SETTINGS[key].default])),
  };
  let sources: Sources = { ...fixed, database: await readDatabase(options.store, options.log) };
  let snapshot = freeze(sources);
  /** What a process that serves runs on until it is restarted, where a setting counts only then. */
  const started = snapshot;

  async function reload(key: SettingKey): Promise<void> {
    sources = { ...fixed, database: await readDatabase(options.store, options.log) };
    snapshot = freeze(sources);
    options.bus.publish({ name: 'config.changed', keys: [key] });
  }

  /** Whether the process that serves goes on with another value than `value` until it is restarted. */
  function waits(key: SettingKey, value: string): boolean {
    return options.running && SETTINGS[key].apply === 'restart' && value !== formatted(key, started[key]);
  }

  function viewNow(key: SettingKey): SettingView {
    const setting = view(key, sources);
    return { ...setting, waits: waits(key, setting.value) };
  }

  function change(key: SettingKey): SettingChange {
    const { value, source } = view(key, sources);
    const hidden = source === 'flag' || source === 'env';
    const effect = hidden
      ? (`shadowed-by-${source}` as const)
      : waits(key, value)
        ? 'restart-required'
        : 'applied';
    return { key, value, effect };
  }

  return {
    current: () => snapshot,

    async reload() {
      const before = snapshot;
      const file = readToml(options.tomlPath);
      const database = await readDatabase(options.store, options.log);
      fixed = { ...fixed, file };
      sources = { ...fixed, database };
      snapshot = freeze(sources);
      const changed = SETTING_KEYS.filter(
        (key) => formatted(key, before[key]) !== formatted(key, snapshot[key]),
      );
      if (changed.length > 0) options.bus.publish({ name: 'config.changed', keys: changed });
      return { changed, waits: SETTING_KEYS.filter((key) => waits(key, formatted(key, snapshot[key]))) };
    },

    async list() {
      return { items: SETTING_KEYS.map(viewNow), next: null };
    },

    async get(name) {
      return viewNow(requireSettingKey(name));
    },

    async set(name, text) {
      const key = requireSettingKey(name);
      const value = formatted(key, parseSetting(key, text));
      await options.store.put(key, value, options.clock.nowMs());
      await reload(key);
      return change(key);
    },

    async unset(name) {
      const key = requireSettingKey(name);
      await options.store.remove(key);
      await reload(key);
      return change(key);
    },

    async explain(name) {
      const key = requireSettingKey(name);
      const { value, source: winner } = view(key, sources);
      const where: Readonly<Record<SettingSource, string>> = {
        flag: 'command line',
        env: envNameOf(key),
        database: 'flm config set',
        file: options.tomlPath,
        default: 'FLM',
      };
      return {
        key,
        about: SETTINGS[key].about,
        takes: SETTINGS[key].kind.takes,
        apply: SETTINGS[key].apply,
        value,
        source: winner,
        sources: PRECEDENCE.map((source) => ({
          source,
          where: where[source],
          value: sources[source].has(key) ? formatted(key, sources[source].get(key)) : null,
          wins: source === winner,
        })),
      };
    },
  };
}

/** What is in the database. A value that this version cannot read is passed over, loudly: the rest still counts. */
async function readDatabase(store: SettingsStore, log: Log): Promise<SourceValues> {
  const rows = await store.load();
  const values = new Map<SettingKey, unknown>();
  for (const key of SETTING_KEYS) {
    const text = rows.get(key);
    if (text === undefined) continue;
    try {
      values.set(key, parseSetting(key, text));
    } catch (error) {
      log.warn('a stored setting is not usable and its default is used', { key, error });
    }
  }
  return values;
}

function sourceOf(key: SettingKey, sources: Sources): SettingSource {
  return PRECEDENCE.find((source) => sources[source].has(key)) ?? 'default';
}

function freeze(sources: Sources): ConfigSnapshot {
  // The lists too, of which some are defaults and belong to everybody.
  const entries = SETTING_KEYS.map((key) => [key, Object.freeze(sources[sourceOf(key, sources)].get(key))]);
  // Each value came out of its own setting's kind, which is what the mapped type says.
  return Object.freeze(Object.fromEntries(entries)) as ConfigSnapshot;
}

function view(key: SettingKey, sources: Sources): Omit<SettingView, 'waits'> {
  const source = sourceOf(key, sources);
  return {
    key,
    value: formatted(key, sources[source].get(key)),
    source,
    default: formatted(key, SETTINGS[key].default),
    apply: SETTINGS[key].apply,
  };
}

function formatted(key: SettingKey, value: unknown): string {
  const kind: { format(value: never): string } = SETTINGS[key].kind;
  // The value was parsed by this very kind.
  return kind.format(value as never);
}
