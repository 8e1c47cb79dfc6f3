/**
 * Every verb that reads or changes state, twice: straight on the data directory while no FLM runs, and through its socket
 * while one does. Whoever writes a script must not be able to tell which it was.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import type { TSchema } from '@sinclair/typebox';
import { OFFLINE_NOTE } from '../../cli/offline';
import { CheckReport, Status } from '../../src/admin';
import { SessionList } from '../../src/admin/sessions/model';
import { ApiKeyList, CreatedKey, RevokedKey, RotatedKey } from '../../src/admission/model';
import { AuditList, Erased } from '../../src/audit';
import { SETTING_KEYS } from '../../src/config';
import { SettingChange, SettingExplanation, SettingList, SettingView } from '../../src/config/model';
import { EngineList, EngineRemoved, EngineView } from '../../src/engines/model';
import { isRecord } from '../../src/lib/json';
import type { Env } from '../../src/lib/paths';
import {
  AliasList,
  AliasRemoved,
  AliasView,
  ModelDetail,
  ModelList,
  StrategyList,
  StrategyView,
} from '../../src/models/model';
import { Whitelist } from '../../src/policy/api';
import { AlertRemoved, AlertRule, AlertRuleList, AlertTargetList } from '../../src/telemetry/alerts/model';
import { type FakeEngine, startFake } from '../fake';
import { everyCommand } from '../support/commands';
import type { TestDir } from '../support/data-dir';
import {
  errorOf,
  type Failure,
  flm,
  leftovers,
  parseFailure,
  parseResult,
  type RunningFlm,
  startFlm,
} from '../support/executable';
import { testHome } from '../support/home';
import { problemsOf, shapeOf } from '../support/shape';
import { CTRL_C, onTerminal } from '../support/terminal';

/** What earlier steps of one run found out, for the words of later ones. */
type Known = Record<string, string>;

interface Step {
  readonly name: string;
  readonly words: (known: Known) => readonly string[];
  /** What a success must look like. */
  readonly schema?: TSchema;
  /** The code of the failure that is right. */
  readonly fails?: string;
  /** Keeps something of the result for later steps. */
  readonly keep?: (data: Record<string, unknown>) => Known;
}

interface Outcome {
  readonly exit: number;
  readonly data: unknown;
  readonly failure: Failure | null;
}

const MODEL = 'both-ways-model';
let fake: FakeEngine;
let guarded: FakeEngine;

const words = (line: string) => () => line.split(' ');

/** In this order, each run on what the ones before it left. */
const STEPS: readonly Step[] = [
  { name: 'status', words: words('status'), schema: Status },
  { name: 'check', words: words('check --verbose'), schema: CheckReport },

  { name: 'no keys but the first', words: words('api-keys list'), schema: ApiKeyList },
  {
    name: 'create a key',
    words: words('api-keys create --label app'),
    schema: CreatedKey,
    keep: ({ id }) => ({ app: String(id) }),
  },
  {
    name: 'create a key with everything',
    words: () => [
      ...['api-keys', 'create', '--label', 'Gäste & "Freunde"', '--expires-in', '7d', '--model', MODEL],
      ...['--model', 'other*', '--scope', 'inference'],
    ],
    schema: CreatedKey,
    keep: ({ id }) => ({ guest: String(id) }),
  },
  {
    name: 'a key without a label',
    words: () => ['api-keys', 'create', '--label', ''],
    fails: 'INVALID_INPUT',
  },
  {
    name: 'a key with too long a label',
    words: () => ['api-keys', 'create', '--label', 'x'.repeat(201)],
    fails: 'INVALID_INPUT',
  },
  {
    name: 'a key for ever and a day',
    words: words('api-keys create --label x --expires-in 999999w'),
    fails: 'INVALID_INPUT',
  },
  {
    name: 'a key that ends at once',
    words: words('api-keys create --label x --expires-in 0s'),
    fails: 'INVALID_INPUT',
  },
  {
    name: 'a key with no such scope',
    words: words('api-keys create --label x --scope root'),
    fails: 'INVALID_INPUT',
  },
  {
    name: 'a key with a scope that nothing asks for',
    words: words('api-keys create --label x --scope engine-admin'),
    fails: 'INVALID_INPUT',
  },
  {
    name: 'a key with a scope twice',
    words: words('api-keys create --label x --scope inference --scope inference'),
    fails: 'INVALID_INPUT',
  },
  {
    name: 'a burst of a key without a limit',
    words: ({ guest = '' }) => ['api-keys', 'update', guest, '--burst', '5'],
    fails: 'INVALID_INPUT',
  },
  { name: 'fetch a key that is not there', words: words('api-keys collect nope'), fails: 'KEY_NOT_FOUND' },
  {
    name: 'who may come at all',
    words: words('security ip-whitelist list'),
    schema: Whitelist,
  },
  {
    name: 'take off that list what is not on it',
    words: words('security ip-whitelist remove 192.0.2.0/24'),
    fails: 'NETWORK_NOT_LISTED',
  },
  {
    name: 'rotate with grace',
    words: ({ app = '' }) => ['api-keys', 'rotate', app, '--grace', '1h', '--label', 'app two'],
    schema: RotatedKey,
    keep: ({ id }) => ({ second: String(id) }),
  },
  {
    name: 'rotate at once, which keeps the rights',
    words: ({ guest = '' }) => ['api-keys', 'rotate', guest],
    schema: RotatedKey,
  },
  {
    name: 'rotate with endless grace',
    words: ({ second = '' }) => ['api-keys', 'rotate', second, '--grace', '999999w'],
    fails: 'INVALID_INPUT',
  },
  {
    name: 'rotate what has ended',
    words: ({ guest = '' }) => ['api-keys', 'rotate', guest],
    fails: 'KEY_ALREADY_REVOKED',
  },
  { name: 'rotate what is not there', words: words('api-keys rotate nope'), fails: 'KEY_NOT_FOUND' },
  { name: 'revoke', words: ({ second = '' }) => ['api-keys', 'revoke', second], schema: RevokedKey },
  {
    name: 'revoke again',
    words: ({ second = '' }) => ['api-keys', 'revoke', second],
    fails: 'KEY_ALREADY_REVOKED',
  },
  { name: 'revoke what is not there', words: words('api-keys revoke no/pe?x=%20'), fails: 'KEY_NOT_FOUND' },
  { name: 'all keys', words: words('api-keys list'), schema: ApiKeyList },

  { name: 'no engines', words: words('engines list'), schema: EngineList },
  { name: 'no models', words: words('models list'), schema: ModelList },
  {
    name: 'nothing is looked for where the owner said so',
    words: words('engines detect'),
    schema: EngineList,
  },
  {
    name: 'add an engine that FLM asks what it is',
    words: () => ['engines', 'add', '--url', fake.url, '--id', 'asked'],
    schema: EngineView,
  },
  { name: 'add it again', words: () => ['engines', 'add', '--url', `${fake.url}/`], fails: 'ENGINE_EXISTS' },
  {
    name: 'add another of the same name',
    words: () => ['engines', 'add', '--url', guarded.url, '--id', 'asked'],
    fails: 'ENGINE_EXISTS',
  },
  {
    name: 'add one that wants a key, with its key',
    words: () => [
      'engines',
      'add',
      '--kind',
      'openai',
      '--url',
      guarded.url,
      '--id',
      'guarded',
      '--key-env',
      'ENGINE_KEY',
      '--slots',
      '3',
    ],
    schema: EngineView,
  },
  {
    name: 'add one that does not run',
    words: words('engines add --kind llamacpp --url http://127.0.0.1:9'),
    schema: EngineView,
  },
  {
    name: 'add what no engine is',
    words: words('engines add --url http://127.0.0.1:7'),
    fails: 'ENGINE_NETWORK_ERROR',
  },
  {
    name: 'add an unknown kind',
    words: words('engines add --kind gpt --url http://127.0.0.1:9'),
    fails: 'INVALID_INPUT',
  },
  { name: 'add no URL', words: () => ['engines', 'add', '--url', ''], fails: 'INVALID_INPUT' },
  {
    name: 'add another protocol',
    words: words('engines add --kind openai --url ftp://127.0.0.1'),
    fails: 'ENGINE_URL_REFUSED',
  },
  {
    name: 'add the cloud’s metadata',
    words: words('engines add --kind openai --url http://169.254.169.254'),
    fails: 'ENGINE_URL_REFUSED',
  },
  {
    name: 'add without the variable',
    words: words('engines add --url http://127.0.0.1:9 --key-env NOT_SET'),
    fails: 'INVALID_INPUT',
  },
  {
    name: 'add with a bad name',
    words: words('engines add --url http://127.0.0.1:9 --id a/b'),
    fails: 'INVALID_INPUT',
  },
  { name: 'all engines', words: words('engines list'), schema: EngineList },
  { name: 'all models', words: words('models list'), schema: ModelList },
  { name: 'the models of one engine', words: words('models list --engine asked'), schema: ModelList },
  { name: 'the models of one kind', words: words('models list --engine openai'), schema: ModelList },
  { name: 'the models of no engine', words: words('models list --engine nope'), fails: 'ENGINE_NOT_FOUND' },
  // Else the faster of two engines comes first, which is another one every time.
  { name: 'fix an order', words: words(`models strategy set ${MODEL} manual`), schema: StrategyView },
  { name: 'what a name means', words: words(`models show ${MODEL}`), schema: ModelDetail },
  { name: 'what an address means', words: words('models show flm://guarded/other'), schema: ModelDetail },
  { name: 'what nobody has', words: words('models show nope'), fails: 'MODEL_NOT_FOUND' },
  { name: 'no aliases', words: words('models alias list'), schema: AliasList },
  {
    name: 'make an alias',
    words: () => ['models', 'alias', 'set', 'fast', `flm://guarded/${MODEL}=2 | gone, ${MODEL}`],
    schema: AliasView,
  },
  {
    name: 'make one that hides a model',
    words: words(`models alias set ${MODEL} other`),
    schema: AliasView,
  },
  {
    name: 'make one with a name that URLs swallow',
    words: words('models alias set .. other'),
    schema: AliasView,
  },
  { name: 'what an alias means', words: words('models show fast'), schema: ModelDetail },
  { name: 'make one of an alias', words: words('models alias set x fast'), fails: 'INVALID_INPUT' },
  { name: 'make one of nothing', words: () => ['models', 'alias', 'set', 'x', ''], fails: 'INVALID_INPUT' },
  {
    name: 'make one without a name',
    words: () => ['models', 'alias', 'set', '', 'a'],
    fails: 'INVALID_INPUT',
  },
  {
    name: 'make one that looks like an address',
    words: words('models alias set flm://a/b other'),
    fails: 'INVALID_INPUT',
  },
  { name: 'all aliases', words: words('models alias list'), schema: AliasList },
  { name: 'set a strategy', words: words('models strategy set other highest-score'), schema: StrategyView },
  { name: 'set one of an alias', words: words('models strategy set fast least-busy'), schema: StrategyView },
  { name: 'set no strategy', words: words('models strategy set other best'), fails: 'INVALID_INPUT' },
  {
    name: 'set one of an address',
    words: words('models strategy set flm://guarded/other manual'),
    fails: 'INVALID_INPUT',
  },
  { name: 'all strategies', words: words('models strategy list'), schema: StrategyList },
  { name: 'unset the strategy', words: words('models strategy unset other'), schema: StrategyView },
  { name: 'unset what is not set', words: words('models strategy unset other'), schema: StrategyView },
  { name: 'forget an alias', words: words(`models alias remove ${MODEL}`), schema: AliasRemoved },
  { name: 'forget the one that URLs swallow', words: words('models alias remove ..'), schema: AliasRemoved },
  { name: 'forget it again', words: words('models alias remove ..'), fails: 'ALIAS_NOT_FOUND' },
  { name: 'forget what is none', words: words('models alias remove other'), fails: 'ALIAS_NOT_FOUND' },
  { name: 'remove an engine', words: words('engines remove guarded'), schema: EngineRemoved },
  { name: 'remove it again', words: words('engines remove guarded'), fails: 'ENGINE_NOT_FOUND' },
  { name: 'remove the one that never ran', words: words('engines remove llamacpp-9'), schema: EngineRemoved },
  { name: 'the engines that are left', words: words('engines list'), schema: EngineList },

  { name: 'all settings', words: words('config list'), schema: SettingList },
  { name: 'set a live one', words: words('config set proxy.max_body_bytes 65536'), schema: SettingChange },
  { name: 'get it', words: words('config get proxy.max_body_bytes'), schema: SettingView },
  { name: 'explain it', words: words('config explain proxy.max_body_bytes'), schema: SettingExplanation },
  { name: 'unset it', words: words('config unset proxy.max_body_bytes'), schema: SettingChange },
  { name: 'unset it again', words: words('config unset proxy.max_body_bytes'), schema: SettingChange },
  {
    name: 'set a list',
    words: words('config set proxy.trusted_proxies 10.0.0.1,fd00::/8'),
    schema: SettingChange,
  },
  {
    name: 'set a list to nothing',
    words: () => ['config', 'set', 'proxy.trusted_proxies', ''],
    schema: SettingChange,
  },
  {
    name: 'set one that the environment sets',
    words: words('config set engine.queue_limit 5'),
    schema: SettingChange,
  },
  {
    name: 'explain what the environment sets',
    words: words('config explain engine.queue_limit'),
    schema: SettingExplanation,
  },
  { name: 'set what is none', words: words('config set proxy.prot 1'), fails: 'CONFIG_NOT_SET' },
  { name: 'get what is none', words: words('config get a/b'), fails: 'CONFIG_NOT_SET' },
  { name: 'explain what is none', words: words('config explain x'), fails: 'CONFIG_NOT_SET' },
  { name: 'unset what is none', words: words('config unset __proto__'), fails: 'CONFIG_NOT_SET' },
  {
    name: 'set a number out of bounds',
    words: words('config set proxy.max_body_bytes 1'),
    fails: 'CONFIG_INVALID',
  },
  { name: 'set no number', words: words('config set proxy.port many'), fails: 'CONFIG_INVALID' },
  { name: 'set no address', words: words('config set proxy.bind somewhere'), fails: 'CONFIG_INVALID' },
  {
    name: 'set far too much',
    words: () => ['config', 'set', 'proxy.allowed_hosts', 'a'.repeat(10_001)],
    fails: 'INVALID_INPUT',
  },
  { name: 'no sessions', words: words('admin sessions list'), schema: SessionList },
  { name: 'end a session that is none', words: words('admin sessions revoke x'), fails: 'SESSION_NOT_FOUND' },
  { name: 'settings at the end', words: words('config list'), schema: SettingList },
  {
    name: 'what is on record of nobody',
    words: words('security audit-logs list --actor nobody --severity high --since 1h'),
    schema: AuditList,
  },
  {
    name: 'what is on record of no address',
    words: words('security audit-logs --ip 1.2.3'),
    fails: 'INVALID_INPUT',
  },
  {
    name: 'what is on record of no type',
    words: words('security audit-logs list --event-type key%'),
    fails: 'INVALID_INPUT',
  },
  {
    name: 'what is on record after nothing',
    words: words('security audit-logs list --cursor next'),
    fails: 'INVALID_INPUT',
  },
  { name: 'erase an address', words: words('security audit-logs erase --ip 192.0.2.1'), schema: Erased },
  { name: 'erase what is none', words: words('security audit-logs erase --ip all'), fails: 'INVALID_INPUT' },
  {
    name: 'erase nothing',
    words: () => ['security', 'audit-logs', 'erase', '--ip', ''],
    fails: 'INVALID_INPUT',
  },
  { name: 'check at the end', words: words('check'), schema: CheckReport },

  { name: 'the alert rules there are', words: words('security alerts list'), schema: AlertRuleList },
  {
    name: 'make an alert rule',
    words: words('security alerts set bans --event-type ban --severity low'),
    schema: AlertRule,
  },
  {
    name: 'change an alert rule',
    words: words('security alerts set bans --threshold 5 --off'),
    schema: AlertRule,
  },
  {
    name: 'an alert rule about nothing there is',
    words: words('security alerts set x --event-type rain --severity low'),
    fails: 'INVALID_INPUT',
  },
  {
    name: 'an alert rule with an impossible name',
    words: () => ['security', 'alerts', 'set', 'a b', '--event-type', 'ban', '--severity', 'low'],
    fails: 'INVALID_INPUT',
  },
  {
    name: 'an alert rule that tells nobody there is',
    words: words('security alerts set bans --target nobody'),
    fails: 'ALERT_TARGET_NOT_FOUND',
  },
  { name: 'remove an alert rule', words: words('security alerts remove bans'), schema: AlertRemoved },
  {
    name: 'remove the alert rule again',
    words: words('security alerts remove bans'),
    fails: 'ALERT_RULE_NOT_FOUND',
  },
  { name: 'where alerts go', words: words('security alerts targets list'), schema: AlertTargetList },
];

type Mode = 'offline' | 'live';
const outcomes: Record<Mode, Map<string, Outcome>> = { offline: new Map(), live: new Map() };
const homes: TestDir[] = [];
let running: RunningFlm;

/** Runs all steps one after the other. */
async function runSteps(mode: Mode, env: Env): Promise<void> {
  const known: Known = {};
  for (const step of STEPS) {
    const { code, stdout, stderr } = await flm(env, step.words(known));
    // Exactly one of the two says something.
    const data = code === 0 || stdout !== '' ? parseResult(stdout) : null;
    const failure = stderr === '' ? null : parseFailure(stderr);
    outcomes[mode].set(step.name, { exit: code, data, failure });
    if (step.keep !== undefined && isRecord(data)) Object.assign(known, step.keep(data));
  }
}

beforeAll(async () => {
  fake = await startFake('llamacpp', { models: [MODEL] });
  guarded = await startFake('openai', { models: [MODEL, 'other'], apiKey: 'engine-secret' });
  for (let i = 0; i < 2; i++)
    homes.push(testHome({ FLM_ENGINE_QUEUE_LIMIT: '77', ENGINE_KEY: 'engine-secret' }));
  const [offline, live] = homes.map((home) => home.env);
  if (offline === undefined || live === undefined) throw new Error('no homes');
  // So that the start of the live one makes no key.
  for (const env of [offline, live]) await flm(env, ['api-keys', 'create', '--label', 'first']);
  running = await startFlm(live);
  await Promise.all([runSteps('offline', offline), runSteps('live', live)]);
}, 60_000);

afterAll(async () => {
  await running.stop();
  await Promise.all([fake.close(), guarded.close()]);
  for (const home of homes) home[Symbol.dispose]();
  expect(leftovers()).toEqual([]);
});

/** Without what differs from one run to the next: keys, ids, times, places. */
function comparable(value: unknown, home: TestDir | undefined): unknown {
  const text = JSON.stringify(value)
    .replaceAll(home?.dir ?? '', '<dir>')
    .replaceAll(/"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, '"<time>"')
    .replaceAll(/flm_[0-9A-Za-z]{46}/g, '<key>')
    .replaceAll(/"(id|old_key_id|rotated_from)":"[0-9A-Za-z]{8}"/g, '"$1":"<id>"')
    .replaceAll(/"latency_ms":\d+/g, '"latency_ms":"<ms>"')
    .replaceAll(/(API key \\")[0-9A-Za-z]{8}\\"/g, '$1<id>\\"')
    // A proxy that runs has its rows, and its start is on record.
    .replaceAll(
      /(active_proxy_handles|audit_logs|engine_health_logs|proxy_profiles|rate_limit_states) \d+/g,
      '$1 <n>',
    )
    .replaceAll(/"\d+ saved"/g, '"<n> saved"')
    .replaceAll(/"\d+ rows, as they were written"/g, '"<n> rows, as they were written"')
    .replaceAll(
      /"(\d+ rows since the start of FLM, \d+ on their way|nothing is written while no FLM runs)"/g,
      '"<rows>"',
    )
    // Others use the disk, too.
    .replaceAll(/\d+\.\d GB free/g, '<n> GB free');
  return JSON.parse(text);
}

describe.each(STEPS)('$name', ({ name, schema, fails }) => {
  const both = () => {
    const [offline, live] = [outcomes.offline.get(name), outcomes.live.get(name)];
    if (offline === undefined || live === undefined) throw new Error('the step did not run');
    return { offline, live };
  };

  test(schema === undefined ? `fails with ${fails}` : 'has the shape that its room promises', () => {
    for (const [mode, { exit, data, failure }] of Object.entries(both())) {
      if (schema === undefined)
        expect({ data, code: failure?.code, exit }).toEqual({ data: null, code: fails, exit: 1 });
      else
        expect({ failure, exit, problems: problemsOf(schema, data) }).toEqual({
          failure: null,
          // A script that asks whether FLM runs reads it off this.
          exit: name === 'status' && mode === 'offline' ? 1 : 0,
          problems: [],
        });
    }
  });

  test('is the same both ways', () => {
    const { offline, live } = both();
    const [offlineHome, liveHome] = homes;
    // Whether FLM runs, and so where and since when, is what this one is asked.
    if (name === 'status') {
      expect(Object.keys(shapeOf(live.data) ?? {})).toEqual(Object.keys(shapeOf(offline.data) ?? {}));
      return;
    }
    expect(shapeOf(live)).toEqual(shapeOf(offline));
    expect(comparable(live, liveHome)).toEqual(comparable(offline, offlineHome));
  });
});

test('every verb that reads or changes state is among the steps, or is tested elsewhere', async () => {
  const stepped = new Set(STEPS.map((step) => step.words({}).filter((word) => !word.startsWith('-'))));
  const tested = [...stepped].flatMap((line) => [4, 3, 2, 1].map((count) => line.slice(0, count).join(' ')));
  const alerts = ['targets add', 'targets remove', 'targets key', 'deliveries', 'test'];
  const audit = ['watch', 'export', 'verify', 'checkpoint'].map((verb) => `security audit-logs ${verb}`);
  const elsewhere = [
    ...audit,
    ...alerts.map((verb) => `security alerts ${verb}`),
    ...['show', 'get', 'set', 'edit', 'validate', 'history', 'rollback'].map(
      (verb) => `security policy ${verb}`,
    ),
    'security ip-whitelist add',
    ...['list', 'show', 'add', 'unblock', 'clear'].map((verb) => `security ip-blocklist ${verb}`),
    ...['intrusion', 'anomaly', 'stats'].map((verb) => `security ${verb}`),
    'security exposure',
    // It prints what is compiled in, and asks nobody.
    'security policy schema',
    'up',
    'chat',
    'admin token',
    'engines try',
    'engines health-history',
    'version',
    'completions',
    'support bundle',
    ...['list', 'stats', 'refusals', 'export', 'verify', 'erase'].map((verb) => `activity ${verb}`),
    ...['start', 'stop', 'status', 'reload', 'restart'].map((verb) => `proxy ${verb}`),
    ...['install', 'uninstall', 'status'].map((verb) => `service ${verb}`),
    // certs.test.ts
    ...['install-ca', 'uninstall-ca', 'ca status', 'ca export', 'ca rotate'].map(
      (verb) => `security ${verb}`,
    ),
    ...['list', 'import', 'remove'].map((verb) => `security certificates ${verb}`),
    // Tunnels and onion services need a SOCKS server and a tor: egress.test.ts, and test/slow/tor.test.ts.
    ...['status', 'test', 'login set', 'login remove'].map((verb) => `egress ${verb}`),
    ...['status', 'rotate', 'remove'].map((verb) => `proxy onion ${verb}`),
  ];
  const verbs = (await everyCommand()).map((command) => command.name);
  expect(verbs.filter((verb) => !tested.includes(verb) && !elsewhere.includes(verb))).toEqual([]);
});

describe('text for people', () => {
  const READS = [
    ['status', /is not running|runs \(process \d+\)/],
    ['engines list', /^ENGINE +WHAT +STATUS/],
    ['models list', /^MODEL +ENGINE/],
    ['api-keys list', /^ID +LABEL +STATUS/],
    ['config list', /^SETTING +VALUE +FROM/],
    ['config get proxy.port', /^8080$/m],
    ['config explain proxy.port', /^proxy\.port = 8080$/m],
    ['check', /All \d+ checks are in order\.|the other (?:\d+ checks are|check is) in order/],
  ] as const;

  test.each(READS)('flm %s', async (line, expected) => {
    for (const home of homes) {
      const { code, stdout, stderr } = await flm(home.env, [...line.split(' '), '--format', 'text']);
      expect({ code, stderr }).toEqual({ code: stdout.includes('is not running') ? 1 : 0, stderr: '' });
      expect(stdout).toMatch(expected);
      expect(stdout).toEndWith('\n');
      // Nothing that moves a cursor or colours anything, nor a blank at the end of a line.
      expect(stdout).not.toMatch(/[^\P{Cc}\n]| $/mu);
    }
  });

  test('comes on a terminal without being asked for, without colours', async () => {
    const [, live] = homes;
    await using terminal = await onTerminal(live?.env ?? {}, ['api-keys', 'list']);
    expect(await terminal.exited).toBe(0);
    const screen = await terminal.screen.whole;
    expect(screen).toMatch(/^ID +LABEL/);
    expect(screen).not.toContain('\u001B');
  });

  test('colours nothing even where a question is asked, when NO_COLOR says so', async () => {
    using home = testHome({ NO_COLOR: '1' });
    await using terminal = await onTerminal(home.env, ['up', '--port', '0']);
    await terminal.screen.until((text) => text.includes('Install a small one'));
    terminal.type(CTRL_C);
    await terminal.exited;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what a colour looks like on a terminal.
    expect(await terminal.screen.whole).not.toMatch(/\u001B\[(?:[34]\d|9\d|38;|48;)[\d;]*m/);
  });

  test('tells errors in words, with what to do about them', async () => {
    for (const home of homes) {
      const { code, stdout, stderr } = await flm(home.env, ['config', 'get', 'proxy.prot', '--format=text']);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toBe('Error: There is no setting "proxy.prot".\nDid you mean proxy.port?\n');
    }
  });
});

describe('a change', () => {
  const CHANGES = [
    'api-keys create --label note',
    'api-keys rotate note',
    'api-keys revoke note',
    'engines add --kind openai --url http://127.0.0.1:9 --id note',
    'engines remove note',
    'config set log.level warn',
    'config unset log.level',
    'models alias set note other',
    'models alias remove note',
    'models strategy set note manual',
    'models strategy unset note',
    'security alerts set note --event-type ban --severity low',
    'security alerts remove note',
  ];
  const NOTE = `${OFFLINE_NOTE}\n`;

  test.each(CHANGES)('by flm %s says where it was made, when nobody runs, and once', async (line) => {
    const [offline, live] = homes;
    const noted = async (home: TestDir | undefined) => {
      const { code, stderr } = await flm(home?.env ?? {}, [...line.split(' '), '--format', 'text']);
      return { code, stderr };
    };
    expect(await noted(offline)).toEqual({ code: 0, stderr: NOTE });
    expect(await noted(live)).toEqual({ code: 0, stderr: '' });
  });

  test('that failed says nothing of the kind', async () => {
    const [offline] = homes;
    const ran = await flm(offline?.env ?? {}, ['engines', 'remove', 'nope', '--format', 'text']);
    expect(ran.stderr).not.toContain(NOTE);
  });

  test('that only a running FLM can make is refused', async () => {
    using home = testHome();
    expect(await errorOf(home.env, ['admin', 'token'])).toMatchObject({ exit: 1, code: 'PROXY_NOT_RUNNING' });
  });
});

describe('exit codes', () => {
  test('0: done; a warning of check is no failure', async () => {
    using home = testHome();
    expect((await flm(home.env, ['check'])).code).toBe(0);
  });

  test('1: your side', async () => {
    using home = testHome();
    expect(await errorOf(home.env, ['engines', 'lst'])).toMatchObject({ exit: 1, code: 'USAGE_ERROR' });
    expect(await errorOf(home.env, ['chat', 'hello'])).toMatchObject({ exit: 1, code: 'PROXY_NOT_RUNNING' });
  });

  test('2: FLM’s side, also when check finds it', async () => {
    using home = testHome();
    await flm(home.env, ['config', 'list']);
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${home.paths.configDb}${suffix}`, { force: true });
    mkdirSync(home.paths.configDb);
    expect(await errorOf(home.env, ['config', 'list'])).toMatchObject({ exit: 2, code: 'DB_ERROR' });
    // The finding is the result of check: it is on stdout, and the code says that it is bad.
    const { code, stdout, stderr } = await flm(home.env, ['check']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(parseResult(stdout)).toMatchObject({ status: 'error', checks: [{ name: 'DB_ERROR' }] });
  });

  test('3: a damaged database, which check tells without sending anybody to check', async () => {
    using home = testHome();
    await flm(home.env, ['config', 'list']);
    writeFileSync(home.paths.configDb, 'this is no database, and long enough to be looked at'.repeat(100));
    expect(await errorOf(home.env, ['config', 'list'])).toMatchObject({ exit: 3, code: 'DB_DAMAGED' });
    const { code, stdout } = await flm(home.env, ['check']);
    expect([code, stdout]).toEqual([1, expect.stringContaining('DB_DAMAGED')]);
    expect(stdout).not.toContain('flm check');
  });

  test('3: start-up configuration, which a restart does not mend', async () => {
    using home = testHome();
    writeFileSync(home.paths.configToml, '[proxy]\nprot = 1\n');
    expect(await errorOf(home.env, ['up', '--port', '0'])).toMatchObject({
      exit: 3,
      code: 'CONFIG_FILE_INVALID',
    });
    writeFileSync(home.paths.configToml, '');
    const { env } = home;
    expect(await errorOf({ ...env, FLM_PROXY_PORT: 'x' }, ['up'])).toMatchObject({ exit: 3 });
    expect(await errorOf(env, ['up', '--bind', '8.8.8.8'])).toMatchObject({
      exit: 3,
      code: 'EXPOSURE_REFUSED',
    });
  });
});

test('every setting can be got and explained, and says the same everywhere', async () => {
  const [, live] = homes;
  const env = live?.env ?? {};
  const list = parseResult((await flm(env, ['config', 'list'])).stdout);
  const items: unknown[] = isRecord(list) && Array.isArray(list.items) ? list.items : [];
  expect(items).toHaveLength(SETTING_KEYS.length);
  for (const item of items) {
    if (!isRecord(item)) throw new Error('not a setting');
    const key = String(item.key);
    expect(parseResult((await flm(env, ['config', 'get', key])).stdout)).toEqual(item);
    const { value, source, apply } = item;
    expect(parseResult((await flm(env, ['config', 'explain', key])).stdout)).toMatchObject({
      key,
      value,
      source,
      apply,
    });
  }
  // Two commands for each.
}, 60_000);
