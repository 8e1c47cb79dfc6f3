/** The two sources outside the database that a person edits: flm.toml and the environment. */
import { existsSync, readFileSync } from 'node:fs';
import { FlmError, reasonOf } from '../lib/errors';
import { isRecord } from '../lib/json';
import type { Env } from '../lib/paths';
import { suggest } from '../lib/suggest';
import {
  type ConfigSnapshot,
  envNameOf,
  isSettingKey,
  SETTING_KEYS,
  SETTINGS,
  type SettingKey,
} from './schema';

/** Values by key, already parsed; a key that a source does not mention is absent. */
export type SourceValues = ReadonlyMap<SettingKey, unknown>;

/**
 * Reads one setting's value from a person's input.
 * @throws CONFIG_INVALID
 */
export function parseSetting<Key extends SettingKey>(key: Key, input: unknown): ConfigSnapshot[Key] {
  try {
    // The kind of this very key: what it parses is what the snapshot holds under it.
    return SETTINGS[key].kind.parse(input) as ConfigSnapshot[Key];
  } catch (error) {
    const value = typeof input === 'string' ? `"${input}"` : JSON.stringify(input);
    throw new FlmError('CONFIG_INVALID', { meta: { key, value, reason: reasonOf(error) }, cause: error });
  }
}

/** The setting named `key`. @throws CONFIG_NOT_SET with the nearest name there is. */
export function requireSettingKey(key: string): SettingKey {
  if (isSettingKey(key)) return key;
  const near = suggest(key, SETTING_KEYS);
  throw new FlmError('CONFIG_NOT_SET', {
    meta: { key },
    ...(near === null ? {} : { hint: `Did you mean ${near}?` }),
  });
}

/** What the environment sets. @throws CONFIG_FILE_INVALID naming the variable. */
export function readEnv(env: Env): SourceValues {
  const values = new Map<SettingKey, unknown>();
  for (const key of SETTING_KEYS) {
    const name = envNameOf(key);
    const text = env[name];
    if (text !== undefined && text !== '') values.set(key, parseFrom(`$${name}`, key, text));
  }
  return values;
}

/**
 * What flm.toml sets: one table per category, `[proxy]` with `port = 8080`.
 * @throws CONFIG_FILE_INVALID when it is not TOML, or holds an unknown key or a wrong value.
 */
export function readToml(path: string): SourceValues {
  const values = new Map<SettingKey, unknown>();
  if (!existsSync(path)) return values;
  for (const [key, value] of flatten(parseToml(path))) {
    if (!isSettingKey(key)) {
      const near = suggest(key, SETTING_KEYS);
      throw new FlmError('CONFIG_FILE_INVALID', {
        meta: { source: path, reason: `it sets "${key}", which is no setting` },
        ...(near === null ? {} : { hint: `Did you mean ${near}?` }),
      });
    }
    values.set(key, parseFrom(path, key, value));
  }
  return values;
}

function parseToml(path: string): Record<string, unknown> {
  try {
    return Bun.TOML.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  } catch (error) {
    throw invalid(path, reasonOf(error), error);
  }
}

function* flatten(table: Record<string, unknown>, prefix = ''): Generator<[string, unknown]> {
  for (const [name, value] of Object.entries(table)) {
    const key = `${prefix}${name}`;
    // A setting is a value, also where somebody wrote a table (or a date) in its place: its kind says so.
    if (isRecord(value) && !isSettingKey(key)) yield* flatten(value, `${key}.`);
    else yield [key, value];
  }
}

function parseFrom(source: string, key: SettingKey, input: unknown): unknown {
  try {
    return parseSetting(key, input);
  } catch (error) {
    throw invalid(source, reasonOf(error), error);
  }
}

function invalid(source: string, reason: string, cause?: unknown): FlmError {
  return new FlmError('CONFIG_FILE_INVALID', { meta: { source, reason }, cause });
}
