/** The list of settings itself: every default is a value of its kind, and every name follows the rules. */
import { describe, expect, test } from 'bun:test';
import { envNameOf, isSettingKey, SETTING_KEYS, SETTINGS } from './schema';

describe.each(SETTING_KEYS)('%s', (key) => {
  const { kind, default: value, about, apply } = SETTINGS[key];

  test('has a default that its own kind reads and writes', () => {
    const { parse, format }: { parse(input: unknown): unknown; format(value: never): string } = kind;
    expect(parse(format(value as never))).toEqual(value);
  });

  test('is named category.snake_case, with its unit (FLM-022)', () => {
    expect(key).toMatch(/^[a-z]+\.[a-z0-9]+(?:_[a-z0-9]+)*$/);
    expect(envNameOf(key)).toMatch(/^FLM_[A-Z0-9_]+$/);
    // A time says in what it is counted; docs and errors rely on it.
    if (/\b(?:long|often|Silence|time)\b/.test(about)) expect(key).toEndWith('_ms');
  });

  test('says what it is for and when it counts', () => {
    expect(about).toMatch(/^[A-Z`].*\.$/);
    expect(['live', 'restart']).toContain(apply);
  });
});

describe('names', () => {
  test('of variables are each used once, and clash with none that means something else', () => {
    const names = SETTING_KEYS.map(envNameOf);
    expect(new Set(names).size).toBe(names.length);
    const taken = ['FLM_DATA_DIR', 'FLM_DATABASE_PASSPHRASE', 'FLM_DISABLE_KEYRING', 'FLM_CLI_PATH'];
    expect(names.filter((name) => taken.includes(name))).toEqual([]);
  });

  test('of an object that every object has are no settings', () => {
    expect(['toString', '__proto__', 'constructor', 'proxy', 'proxy.port '].filter(isSettingKey)).toEqual([]);
  });
});

test('listens on this machine alone by default', () => {
  expect(SETTINGS['proxy.bind'].default).toBe('127.0.0.1');
  expect(SETTINGS['proxy.trusted_proxies'].default).toEqual([]);
  expect(SETTINGS['proxy.allowed_hosts'].default).toEqual([]);
});
