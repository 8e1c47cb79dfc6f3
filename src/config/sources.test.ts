/** flm.toml and the environment: what they set, and that anything wrong in them stops FLM with a sentence that helps. */
import { describe, expect, test } from 'bun:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { testDir } from '../../test/support/data-dir';
import { errorOf } from '../../test/support/thrown';
import { parseSetting, readEnv, readToml, requireSettingKey, type SourceValues } from './sources';

/** What a flm.toml with this text sets. */
function toml(text: string): SourceValues {
  using data = testDir();
  writeFileSync(data.paths.configToml, text);
  return readToml(data.paths.configToml);
}

describe('readToml', () => {
  test('reads one table per category, in the types of TOML or as text', () => {
    const values = toml(`
      log.level = "warn"
      [proxy]
      port = 9000
      max_body_bytes = 1_048_576
      trusted_proxies = ["10.0.0.0/8", "::1"]
      allowed_hosts = "a.local, b.local"
      [engine]
      detect = false
      timeout_ms = "250"`);
    expect(Object.fromEntries(values)).toEqual({
      'log.level': 'warn',
      'proxy.port': 9000,
      'proxy.max_body_bytes': 1_048_576,
      'proxy.trusted_proxies': ['10.0.0.0/8', '::1'],
      'proxy.allowed_hosts': ['a.local', 'b.local'],
      'engine.detect': false,
      'engine.timeout_ms': 250,
    });
  });

  test('sets nothing when there is no file, or nothing in it', () => {
    using data = testDir();
    expect(readToml(data.paths.configToml).size).toBe(0);
    expect([toml('').size, toml('# a comment\n[proxy]\n').size]).toEqual([0, 0]);
  });

  test.each([
    ['broken TOML', '[proxy\nport = 1', /TOML/],
    ['a key twice', '[proxy]\nport = 1\nport = 2', /redefine/],
    ['an unknown key', '[proxy]\nprot = 1', /"proxy\.prot", which is no setting\.$/],
    ['an unknown key like no other', 'telemetry = true', /"telemetry", which is no setting\.$/],
    ['an unknown category', '[gateway]\nmax = 1', /"gateway\.max"/],
    ['a key below a setting', '[proxy.port]\nx = 1', /proxy\.port/],
    ['an empty table in place of a value', '[proxy.port]\n', /proxy\.port/],
    ['a list of tables', '[[proxy]]\nport = 1', /"proxy"/],
    ['a number where a word belongs', '[log]\nlevel = 5', /log\.level cannot be 5: it takes one of/],
    ['a word where a number belongs', '[proxy]\nport = "http"', /proxy\.port cannot be "http"/],
    ['a fraction', '[proxy]\nport = 80.5', /proxy\.port cannot be 80\.5/],
    ['a number out of bounds', '[proxy]\nport = 70000', /from 1 to 65535/],
    ['a truth in numbers', '[engine]\ndetect = 1', /engine\.detect cannot be 1: it takes true or false/],
    ['a list with a number', '[proxy]\ntrusted_proxies = [10]', /proxy\.trusted_proxies/],
    ['a network that is none', '[proxy]\ntrusted_proxies = ["10.0.0.0/99"]', /10\.0\.0\.0\/99/],
    ['a date', '[proxy]\nport = 2026-11-23', /proxy\.port/],
  ])('refuses %s, naming the file', async (_, text, reason) => {
    const error = await errorOf(() => toml(text));
    expect([error.code, error.exit]).toEqual(['CONFIG_FILE_INVALID', 3]);
    expect(error.message).toMatch(/\/flm\.toml is not usable: /);
    expect(error.message).toMatch(reason);
    expect(error.message).not.toContain('\n');
  });

  test('names the setting that an unknown key is nearest to', async () => {
    expect((await errorOf(() => toml('[proxy]\nprot = 1'))).hint).toBe('Did you mean proxy.port?');
  });

  test('refuses what it cannot read', async () => {
    using data = testDir();
    mkdirSync(data.paths.configToml);
    expect((await errorOf(() => readToml(data.paths.configToml))).code).toBe('CONFIG_FILE_INVALID');
  });
});

describe('readEnv', () => {
  test('reads the variable of each setting, and an empty one as not set', () => {
    const values = readEnv({
      FLM_PROXY_PORT: '9000',
      FLM_ENGINE_DETECT: 'no',
      FLM_LOG_LEVEL: '',
      PROXY_PORT: '1',
    });
    expect(Object.fromEntries(values)).toEqual({ 'proxy.port': 9000, 'engine.detect': false });
  });

  test('lets variables pass that are not settings', () => {
    expect(readEnv({ FLM_DATA_DIR: '/x', FLM_DISABLE_KEYRING: '1', PATH: '/bin' }).size).toBe(0);
  });

  test('refuses a wrong value, naming the variable', async () => {
    const error = await errorOf(() => readEnv({ FLM_PROXY_PORT: 'http' }));
    expect([error.code, error.exit]).toEqual(['CONFIG_FILE_INVALID', 3]);
    expect(error.message).toBe(
      '$FLM_PROXY_PORT is not usable: proxy.port cannot be "http": it takes a whole number from 1 to 65535.',
    );
  });
});

describe('parseSetting', () => {
  test('refuses with the key, the value as it was given, and what it takes', async () => {
    const error = await errorOf(() => parseSetting('log.level', 'loud'));
    expect([error.code, error.exit]).toEqual(['CONFIG_INVALID', 1]);
    expect(error.message).toBe('log.level cannot be "loud": it takes one of debug, info, warn, error.');
    expect(error.hint).toBe('"flm config explain log.level" says what it takes.');
  });
});

describe('requireSettingKey', () => {
  test('suggests the nearest name for one that does not exist', async () => {
    expect(requireSettingKey('proxy.port')).toBe('proxy.port');
    const near = await errorOf(() => requireSettingKey('proxy.prt'));
    expect([near.code, near.exit, near.hint]).toEqual(['CONFIG_NOT_SET', 1, 'Did you mean proxy.port?']);
    const far = await errorOf(() => requireSettingKey('toString'));
    expect([far.code, far.hint]).toEqual(['CONFIG_NOT_SET', '"flm config list" shows all settings.']);
  });
});
