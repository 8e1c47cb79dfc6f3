/** The configuration as a whole: five sources and who wins, what a change does, and one frozen snapshot at a time. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { type TestDir, testDir } from '../../test/support/data-dir';
import { codeOf, errorOf } from '../../test/support/thrown';
import { createBus } from '../lib/bus';
import { manualClock } from '../lib/clock';
import { type Log, silentLog } from '../lib/log';
import type { Env } from '../lib/paths';
import { type ConfigSnapshot, envNameOf, SETTING_KEYS, SETTINGS, type SettingKey } from './schema';
import { type Config, createConfig } from './service';
import { parseSetting } from './sources';
import type { SettingsStore } from './store';

/** A value for each of the four places that somebody can write to; never the default. */
const SAMPLES = {
  'proxy.port': ['1001', '1002', '1003', '1004'],
  'proxy.bind': ['127.0.0.2', '127.0.0.3', '127.0.0.4', '::1'],
  'certs.names': ['a.example.com', '192.0.2.7', '2001:db8::7', 'b.example.com,c.example.com'],
  'proxy.allowed_hosts': ['a.local', 'b.local', 'c.local,d.local', 'e.local'],
  'proxy.trusted_proxies': ['10.0.0.1', '10.0.0.2', '10.0.0.0/8,::1', '10.0.0.4'],
  'proxy.max_body_bytes': ['2001', '2002', '2003', '2004'],
  'proxy.max_connections': ['11', '12', '13', '14'],
  'proxy.request_timeout_ms': ['3001', '3002', '3003', '3004'],
  'proxy.stream_timeout_ms': ['3001', '3002', '3003', '3004'],
  'proxy.drain_ms': ['0', '1', '2', '3'],
  'proxy.header_grace_ms': ['0', '1', '2', '3'],
  'proxy.ping_interval_ms': ['3001', '3002', '3003', '3004'],
  'proxy.stall_probe_ms': ['3001', '3002', '3003', '3004'],
  'engine.detect': ['false', 'true', 'false', 'true'],
  'engine.detect_processes': ['false', 'true', 'false', 'true'],
  'engine.timeout_ms': ['301', '302', '303', '304'],
  'engine.health_latency_threshold_ms': ['11', '12', '13', '14'],
  'engine.max_network_failures': ['1', '2', '4', '5'],
  'engine.breaker_failures': ['0', '1', '2', '3'],
  'engine.breaker_open_ms': ['101', '102', '103', '104'],
  'engine.refresh_ms': ['3001', '3002', '3003', '3004'],
  'engine.history_days': ['1', '2', '3', '4'],
  'engine.default_slots': ['1', '2', '3', '4'],
  'engine.queue_limit': ['0', '1', '2', '3'],
  'admin.port': ['0', '1', '2', '3'],
  'admin.session_idle_ms': ['60001', '60002', '60003', '60004'],
  'admin.session_lifetime_ms': ['60001', '60002', '60003', '60004'],
  'metrics.open_to_loopback': ['false', 'true', 'false', 'true'],
  'log.requests': ['off', 'stdout', 'file', 'stdout'],
  'log.client_ips': ['full', 'masked', 'full', 'masked'],
  'alerts.client_ips': ['masked', 'full', 'masked', 'full'],
  'log.file': ['true', 'false', 'true', 'false'],
  'log.max_bytes': ['70001', '70002', '70003', '70004'],
  'log.max_age_hours': ['1', '2', '3', '4'],
  'log.keep_files': ['0', '1', '2', '3'],
  'activity.retention_days': ['10', '20', '40', '50'],
  'activity.max_bytes': ['20000001', '20000002', '20000003', '20000004'],
  'activity.archive': ['true', 'false', 'true', 'true'],
  'egress.mode': ['tor', 'direct', 'socks5', 'tor'],
  'egress.socks5_endpoint': ['127.0.0.1:1001', '127.0.0.1:1002', 'tor:1003', '[::1]:1004'],
  'egress.fail_open': ['true', 'false', 'true', 'true'],
  'egress.private_addresses': ['direct', 'tunnel', 'direct', 'direct'],
  'egress.connect_timeout_ms': ['1001', '1002', '1003', '1004'],
  'egress.tor_control': ['127.0.0.1:2001', '127.0.0.1:2002', 'tor:2003', '[::1]:2004'],
  'proxy.revoked_client_certificates': [
    '1'.repeat(64),
    '2'.repeat(64),
    `${'3'.repeat(64)},${'4'.repeat(64)}`,
    'a'.repeat(64),
  ],
  'log.level': ['debug', 'warn', 'error', 'warn'],
} as const satisfies Record<SettingKey, readonly [string, string, string, string]>;

const PLACES = ['flag', 'env', 'database', 'file'] as const;

interface Fixture {
  readonly data: TestDir;
  readonly rows: Map<string, string>;
  readonly changes: string[];
  readonly warnings: unknown[];
  flags: Partial<ConfigSnapshot>;
  env: Env;
  running: boolean;
  store: SettingsStore;
}

function fixture(data: TestDir): Fixture {
  const rows = new Map<string, string>();
  return {
    data,
    rows,
    changes: [],
    warnings: [],
    flags: {},
    env: {},
    running: true,
    store: {
      load: async () => new Map(rows),
      async put(key, value) {
        rows.set(key, value);
      },
      async remove(key) {
        rows.delete(key);
      },
    },
  };
}

function start({ data, store, env, flags, running, changes, warnings }: Fixture): Promise<Config> {
  const bus = createBus();
  bus.subscribe('config.changed', ({ keys }) => changes.push(...keys));
  const log: Log = { ...silentLog, warn: (message, fields) => warnings.push({ message, ...fields }) };
  const clock = manualClock();
  return createConfig({ store, env, tomlPath: data.paths.configToml, flags, clock, bus, log, running });
}

function writeToml({ data }: Fixture, key: SettingKey, text: string): void {
  const [category, name] = key.split('.');
  writeFileSync(data.paths.configToml, `[${category}]\n${name} = ${JSON.stringify(text)}\n`);
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

describe.each(SETTING_KEYS)('%s', (key) => {
  const samples = SAMPLES[key];
  const fallback = (SETTINGS[key].kind.format as (value: unknown) => string)(SETTINGS[key].default);

  test('comes from the command line before the environment, the database, the file and the default', async () => {
    for (let present = 0; present < 16; present++) {
      using data = testDir();
      const each = fixture(data);
      const has = PLACES.map((_, place) => (present & (1 << place)) !== 0);
      if (has[0]) each.flags = { [key]: parseSetting(key, samples[0]) };
      if (has[1]) each.env = { [envNameOf(key)]: samples[1] };
      if (has[2]) each.rows.set(key, samples[2]);
      if (has[3]) writeToml(each, key, samples[3]);
      const config = await start(each);
      const winner = has.indexOf(true);
      const [value, source] = winner === -1 ? [fallback, 'default'] : [samples[winner], PLACES[winner]];
      expect(await config.get(key)).toMatchObject({ key, value, source, default: fallback });
      expect(config.current()[key]).toEqual(parseSetting(key, value));
      const { sources, takes, about } = await config.explain(key);
      expect(sources).toEqual([
        { source: 'flag', where: 'command line', value: has[0] ? samples[0] : null, wins: winner === 0 },
        { source: 'env', where: envNameOf(key), value: has[1] ? samples[1] : null, wins: winner === 1 },
        {
          source: 'database',
          where: 'flm config set',
          value: has[2] ? samples[2] : null,
          wins: winner === 2,
        },
        {
          source: 'file',
          where: data.paths.configToml,
          value: has[3] ? samples[3] : null,
          wins: winner === 3,
        },
        { source: 'default', where: 'FLM', value: fallback, wins: winner === -1 },
      ]);
      expect([takes, about]).toEqual([SETTINGS[key].kind.takes, SETTINGS[key].about]);
    }
  });

  test('is set and unset, and says when that counts', async () => {
    using data = testDir();
    const each = fixture(data);
    const config = await start(each);
    const text = samples[2] === fallback ? samples[1] : samples[2];
    const effect = SETTINGS[key].apply === 'restart' ? 'restart-required' : 'applied';
    expect(await config.set(key, text)).toEqual({ key, value: text, effect });
    expect([each.rows.get(key), (await config.get(key)).source]).toEqual([text, 'database']);
    expect(config.current()[key]).toEqual(parseSetting(key, text));
    expect(await config.unset(key)).toEqual({ key, value: fallback, effect: 'applied' });
    expect([each.rows.size, (await config.get(key)).source]).toEqual([0, 'default']);
  });
});

describe('a change', () => {
  let data: TestDir;
  let each: Fixture;
  beforeEach(() => {
    data = testDir();
    each = fixture(data);
  });
  afterEach(() => data[Symbol.dispose]());

  test('needs a restart for as long as FLM runs on the value it started with', async () => {
    each.rows.set('proxy.port', '8081');
    const config = await start(each);
    const effects: string[] = [];
    for (const text of ['9000', '9000', '9001', '8081', '9000']) {
      effects.push((await config.set('proxy.port', text)).effect);
      // Whoever looks later is told the same.
      expect((await config.get('proxy.port')).waits).toBe(text !== '8081');
    }
    const waiting = (await config.list()).items.filter(({ waits }) => waits);
    expect(waiting.map(({ key }) => key)).toEqual(['proxy.port']);
    effects.push((await config.unset('proxy.port')).effect);
    expect(effects).toEqual([
      'restart-required',
      'restart-required', // said again, and still not in force
      'restart-required',
      'applied', // back to what it runs on
      'restart-required',
      'restart-required', // 8080 is not what it runs on either
    ]);
  });

  test('is simply applied where nothing runs', async () => {
    each.running = false;
    const config = await start(each);
    expect((await config.set('proxy.port', '9000')).effect).toBe('applied');
  });

  test.each(['flag', 'env'] as const)(
    'behind %s is kept, changes nothing now, and says so',
    async (source) => {
      if (source === 'flag') each.flags = { 'proxy.port': 9000 };
      else each.env = { FLM_PROXY_PORT: '9000' };
      const config = await start(each);
      expect(await config.set('proxy.port', '9001')).toEqual({
        key: 'proxy.port',
        value: '9000',
        effect: `shadowed-by-${source}`,
      });
      expect([each.rows.get('proxy.port'), config.current()['proxy.port']]).toEqual(['9001', 9000]);
      expect((await config.unset('proxy.port')).effect).toBe(`shadowed-by-${source}`);
    },
  );

  test('wins over the file, and taking it back brings the file back', async () => {
    writeToml(each, 'proxy.port', '7000');
    const config = await start(each);
    expect((await config.set('proxy.port', '9000')).value).toBe('9000');
    expect(await config.unset('proxy.port')).toMatchObject({ value: '7000', effect: 'applied' });
  });

  test('is stored the way it is written back, not the way it was typed', async () => {
    const config = await start(each);
    expect((await config.set('engine.detect', ' NO ')).value).toBe('false');
    await config.set('proxy.allowed_hosts', ' A.local ,, b.local ');
    expect(Object.fromEntries(each.rows)).toEqual({
      'engine.detect': 'false',
      'proxy.allowed_hosts': 'a.local,b.local',
    });
  });

  test('is told on the bus, with its key', async () => {
    const config = await start(each);
    await config.set('log.level', 'warn');
    await config.unset('log.level');
    await settle();
    expect(each.changes).toEqual(['log.level', 'log.level']);
  });

  test.each([
    ['proxy.port', 'http', 'CONFIG_INVALID'],
    ['proxy.port', '', 'CONFIG_INVALID'],
    ['log.level', 'INFO', 'CONFIG_INVALID'],
    ['proxy.prot', '1', 'CONFIG_NOT_SET'],
    ['__proto__', '1', 'CONFIG_NOT_SET'],
  ] as const)('to what is not possible changes nothing: %s %p', async (key, value, code) => {
    const config = await start(each);
    const before = config.current();
    expect(await codeOf(() => config.set(key, value))).toBe(code);
    await settle();
    expect([each.rows.size, each.changes, config.current() === before]).toEqual([0, [], true]);
  });

  test('of a name that does not exist suggests one that does, whatever is asked of it', async () => {
    const config = await start(each);
    for (const run of [
      () => config.get('proxy.prot'),
      () => config.set('proxy.prot', '1'),
      () => config.unset('proxy.prot'),
      () => config.explain('proxy.prot'),
    ]) {
      expect(await errorOf(run)).toMatchObject({ code: 'CONFIG_NOT_SET', hint: 'Did you mean proxy.port?' });
    }
  });

  test('that cannot be stored is not in force either', async () => {
    const config = await start({
      ...each,
      store: { ...each.store, put: () => Promise.reject(new Error('full')) },
    });
    const before = config.current();
    expect(config.set('log.level', 'warn')).rejects.toThrow('full');
    await settle();
    expect([config.current() === before, each.changes]).toEqual([true, []]);
  });
});

describe('the snapshot', () => {
  test('is frozen, and so are the lists in it, defaults included', async () => {
    using data = testDir();
    const each = fixture(data);
    each.flags = { 'proxy.allowed_hosts': ['a.local'] };
    const config = await start(each);
    const snapshot = config.current();
    expect(() => Object.assign(snapshot, { 'proxy.port': 1 })).toThrow(TypeError);
    for (const key of SETTING_KEYS) expect([key, Object.isFrozen(snapshot[key])]).toEqual([key, true]);
    const list = snapshot['proxy.trusted_proxies'] as string[];
    expect(() => list.push('0.0.0.0/0')).toThrow(TypeError);
    expect(Object.keys(snapshot)).toEqual([...SETTING_KEYS]);
  });

  test('stays what it was while a change makes a new one, all at once', async () => {
    using data = testDir();
    const config = await start(fixture(data));
    const before = config.current();
    await config.set('log.level', 'error');
    await config.set('proxy.port', '9000');
    expect([before['log.level'], before['proxy.port']]).toEqual(['info', 8080]);
    expect(config.current()).toEqual({ ...before, 'log.level': 'error', 'proxy.port': 9000 });
    expect(config.current()).toBe(config.current());
  });

  test('is in force as soon as the change is acknowledged', async () => {
    using data = testDir();
    const config = await start(fixture(data));
    await Promise.all([config.set('log.level', 'error'), config.set('engine.detect', 'false')]);
    expect([config.current()['log.level'], config.current()['engine.detect']]).toEqual(['error', false]);
  });
});

describe('what another version stored', () => {
  test('is passed over, loudly, where this one cannot read it; the rest still counts', async () => {
    using data = testDir();
    const each = fixture(data);
    for (const [key, value] of [
      ['log.level', 'trace'],
      ['proxy.port', '99999999'],
      ['engine.detect', 'false'],
      ['gateway.colour', 'red'],
    ] as const)
      each.rows.set(key, value);
    const config = await start(each);
    expect([config.current()['log.level'], config.current()['proxy.port']]).toEqual(['info', 8080]);
    expect(config.current()['engine.detect']).toBe(false);
    expect((await config.get('log.level')).source).toBe('default');
    expect(each.warnings).toHaveLength(2);
    expect(JSON.stringify(each.warnings)).toContain('log.level');
    // Neither is thrown away: the other version may come back.
    expect([...each.rows.keys()]).toContain('gateway.colour');
    expect(each.rows.get('log.level')).toBe('trace');
  });
});

describe('a source that is wrong', () => {
  test('stops the start, also where another source would have won', async () => {
    using data = testDir();
    const each = fixture(data);
    each.flags = { 'proxy.port': 9000 };
    each.env = { FLM_PROXY_PORT: 'x' };
    expect(await codeOf(() => start(each))).toBe('CONFIG_FILE_INVALID');
    each.env = {};
    writeToml(each, 'proxy.port', 'x');
    expect(await codeOf(() => start(each))).toBe('CONFIG_FILE_INVALID');
  });
});

test('list shows every setting once, in the order of the schema', async () => {
  using data = testDir();
  const each = fixture(data);
  each.env = { FLM_LOG_LEVEL: 'warn' };
  const { items, next } = await (await start(each)).list();
  expect(items.map(({ key }) => key)).toEqual([...SETTING_KEYS]);
  expect(next).toBeNull();
  expect(items.find(({ key }) => key === 'log.level')).toEqual({
    key: 'log.level',
    value: 'warn',
    source: 'env',
    default: 'info',
    apply: 'live',
    waits: false,
  });
});
