/** The engines of an installation: found, named, gone and back again, each in one place under one name. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { type EgressMap, egressMap } from '../../test/support/egress-map';
import { eventually } from '../../test/support/eventually';
import { fakeEngine, headerOf } from '../../test/support/fakes';
import { httpStranger } from '../../test/support/strangers';
import { codeOf, errorOf } from '../../test/support/thrown';
import { type ConfigSnapshot, SETTING_KEYS, SETTINGS } from '../config';
import type { EngineRef, EngineState, Event, InferenceRoute, Lease } from '../contract';
import { createBus } from '../lib/bus';
import { type ManualClock, manualClock } from '../lib/clock';
import { FlmError } from '../lib/errors';
import { silentLog } from '../lib/log';
import type { Env } from '../lib/paths';
import { createEngines, type Engines } from './service';
import type { EngineStore, ManualEngine } from './store';
import type { Trial, TrialState } from './trial';

const DEFAULTS = Object.fromEntries(
  SETTING_KEYS.map((key) => [key, SETTINGS[key].default]),
) as ConfigSnapshot;

let map: EgressMap;
let clock: ManualClock;
let config: ConfigSnapshot;
let env: Env;
let rows: ManualEngine[];
let events: Event[];
let changes: (readonly EngineState[])[];
let ownPort: number;
const foreignPorts = new Set<number>();
let trial: Trial & { now: TrialState };
let recorded: string[];
let engines: Engines;

const store: EngineStore = {
  load: async () => rows,
  async insert(engine) {
    rows = [...rows, engine];
  },
  async remove(id) {
    rows = rows.filter((engine) => engine.id !== id);
  },
};

const TRIAL_OFF: TrialState = {
  installed: true,
  running: false,
  baseUrl: null,
  pid: null,
  model: 'smollm2',
  slots: 4,
  restarts: 0,
  error: null,
};

function fakeTrial(baseUrl: string): Trial & { now: TrialState } {
  const fake = {
    now: TRIAL_OFF,
    state: () => fake.now,
    install: async () => {},
    remove: async () => {},
    async start() {
      fake.now = { ...TRIAL_OFF, running: true, baseUrl, pid: 77 };
      return { baseUrl, model: 'smollm2', slots: 4 };
    },
    async stop() {
      fake.now = TRIAL_OFF;
    },
  };
  return fake;
}

const NOTHING_YET = {
  total: 0,
  healthy: 0,
  degraded: 0,
  unreachable: 0,
  latencyMs: null,
  errorRate: null,
};

async function start(): Promise<void> {
  const bus = createBus();
  bus.subscribe('engine.changed', (event) => events.push(event));
  bus.subscribe('engine.removed', (event) => events.push(event));
  engines = await createEngines({
    store,
    egress: map.egress,
    config: () => config,
    env,
    clock,
    bus,
    log: silentLog,
    trial,
    historyStore: { write: async () => {}, read: async () => ({ rows: [], totals: NOTHING_YET }) },
    record: async ({ type }) => void recorded.push(type),
    processes: { engines: async () => [], isForeign: (port) => foreignPorts.has(port) },
    isOwnPort: (port) => port === ownPort,
    onChange: (states) => changes.push(states),
  });
}

beforeEach(async () => {
  map = egressMap();
  clock = manualClock();
  config = { ...DEFAULTS, 'engine.timeout_ms': 1_000 };
  env = {};
  [rows, events, changes] = [[], [], []];
  ownPort = 9_999;
  recorded = [];
  trial = fakeTrial('http://127.0.0.1:6000');
  await start();
});

afterEach(async () => {
  await engines.close();
  map[Symbol.dispose]();
});

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
const brief = () => engines.states().map(({ ref, status }) => `${ref.id} ${ref.origin} ${status}`);
const DEFAULT_PLACE = 'http://127.0.0.1:8080';

function leaseOn(id: string): Lease {
  const engine: EngineRef = { id, kind: 'openai', baseUrl: DEFAULT_PLACE, origin: 'manual' };
  return { candidate: { engine, model: 'm' }, waitedMs: 0, answered() {}, close() {} };
}

const CALL = {
  route: '/v1/chat/completions',
  headers: {},
  body: '{"model":"fake-model","messages":[]}',
} as const;
const never = new AbortController().signal;

describe('an engine that is found', () => {
  test('appears with what it says of itself, and everybody is told', async () => {
    await using fake = await fakeEngine('llamacpp', { slots: 3 });
    map.places.set(DEFAULT_PLACE, fake.url);
    await engines.refresh(0);
    const [state] = engines.states();
    expect(state).toMatchObject({
      ref: { id: 'llamacpp-default', kind: 'llamacpp', baseUrl: DEFAULT_PLACE, origin: 'detected' },
      status: 'running-healthy',
      reason: null,
      slots: 3,
      latencyMs: 0,
    });
    expect(state?.models.map(({ id }) => id)).toEqual(['smollm2-135m-instruct']);
    await settle();
    expect(events).toEqual([
      {
        name: 'engine.changed',
        engineId: 'llamacpp-default',
        kind: 'llamacpp',
        status: 'running-healthy',
        models: 1,
      },
    ]);
    expect(changes.at(-1)).toBe(engines.states());
  });

  test('dies, is shown as gone, and comes back under its name', async () => {
    await using fake = await fakeEngine('openai');
    map.places.set('http://127.0.0.1:8000', fake.url);
    await engines.refresh(0);
    map.places.clear();
    await engines.refresh(0);
    expect(brief()).toEqual(['openai-8000 detected error-network']);
    expect(engines.states()[0]).toMatchObject({ reason: 'nothing listens there', models: [] });
    map.places.set('http://127.0.0.1:8000', fake.url);
    await engines.refresh(0);
    expect(brief()).toEqual(['openai-8000 detected running-healthy']);
    await settle();
    expect(events.map((event) => (event.name === 'engine.changed' ? event.status : event.name))).toEqual([
      'running-healthy',
      'error-network',
      'running-healthy',
    ]);
  });

  test('is forgotten ten minutes after it was last seen, not sooner', async () => {
    await using fake = await fakeEngine('openai');
    map.places.set('http://127.0.0.1:8000', fake.url);
    await engines.refresh(0);
    map.places.clear();
    clock.advance(600_000);
    await engines.refresh(0);
    await engines.refresh(0);
    expect(brief()).toEqual(['openai-8000 detected error-network']);
    clock.advance(1);
    await engines.refresh(0);
    await engines.refresh(0);
    expect(brief()).toEqual([]);
    await settle();
    expect(events.at(-1)).toEqual({ name: 'engine.removed', engineId: 'openai-8000' });
  });

  test('is told again only when its status or the number of its models changes', async () => {
    await using fake = await fakeEngine('openai');
    map.places.set('http://127.0.0.1:8000', fake.url);
    for (let i = 0; i < 3; i++) await engines.refresh(0);
    await settle();
    expect(events).toHaveLength(1);
  });

  test('keeps apart from another of its kind', async () => {
    await using one = await fakeEngine('openai', { models: ['a'] });
    await using two = await fakeEngine('openai', { models: ['b'] });
    map.places.set('http://127.0.0.1:8000', one.url);
    map.places.set('http://gpu:8000', two.url);
    env = { VLLM_HOST: 'gpu' };
    await start();
    await engines.refresh(0);
    expect(engines.states().map(({ ref, models }) => [ref.id, ref.baseUrl, models[0]?.id])).toEqual([
      ['openai-8000', 'http://gpu:8000', 'b'],
      ['openai-8000-2', 'http://127.0.0.1:8000', 'a'],
    ]);
  });

  test('wants a key: it is shown so, and has no models', async () => {
    await using fake = await fakeEngine('openai', { apiKey: 'k' });
    map.places.set('http://127.0.0.1:8000', fake.url);
    await engines.refresh(0);
    expect(engines.states()[0]).toMatchObject({
      status: 'needs-key',
      reason: expect.stringContaining('it wants a key: flm engines add --url '),
      models: [],
    });
  });

  test('that does not answer because it works for FLM stays in use, however long that takes', async () => {
    await using fake = await fakeEngine('openai');
    map.places.set('http://127.0.0.1:8000', fake.url);
    await engines.refresh(0);
    const candidate = { engine: engines.states()[0]?.ref as EngineRef, model: 'm' };
    engines.enter(candidate);
    fake.setFault({ kind: 'stall-before-headers', on: 'everything' });
    config = { ...config, 'engine.timeout_ms': 50 };
    for (let looks = 0; looks < 5; looks++) await engines.refresh(0);
    expect(engines.states()[0]).toMatchObject({ status: 'running-degraded', consecutiveFailures: 0 });
    expect(engines.states()[0]?.models).toHaveLength(1);
    engines.leave(candidate, 'done', 1, null, false);
    for (let looks = 0; looks < 3; looks++) await engines.refresh(0);
    expect(engines.states()[0]?.status).toBe('error-network');
  });

  test('that hangs is cut off at the time-out: degraded at first, and gone after the third time', async () => {
    await using fake = await fakeEngine('openai');
    map.places.set('http://127.0.0.1:8000', fake.url);
    await engines.refresh(0);
    fake.setFault({ kind: 'stall-before-headers', on: 'everything' });
    config = { ...config, 'engine.timeout_ms': 100 };
    const reason = 'it does not answer in time';
    const seen: unknown[] = [];
    for (let looks = 0; looks < 4; looks++) {
      await engines.refresh(0);
      const [state] = engines.states();
      seen.push([state?.status, state?.consecutiveFailures, state?.models.length]);
      expect(state?.reason).toBe(reason);
    }
    expect(seen).toEqual([
      ['running-degraded', 1, 1],
      ['running-degraded', 2, 1],
      ['error-network', 3, 0],
      ['error-network', 4, 0],
    ]);
  });

  test('of another user of this machine is not used, also not when he takes an engine’s place', async () => {
    await using fake = await fakeEngine('llamacpp');
    map.places.set(DEFAULT_PLACE, fake.url);
    foreignPorts.add(8080);
    await engines.refresh(0);
    expect([brief(), fake.requests]).toEqual([[], []]);
    foreignPorts.clear();
    await engines.refresh(0);
    expect(brief()).toEqual(['llamacpp-default detected running-healthy']);
    const asked = fake.requests.length;
    foreignPorts.add(8080);
    await engines.refresh(0);
    expect([brief(), fake.requests.length]).toEqual([[], asked]);
    // Whoever adds it by hand has said that he trusts it.
    expect((await engines.add({ url: DEFAULT_PLACE })).status.status).toBe('running-healthy');
    foreignPorts.clear();
  });

  test('that turns into something else is no engine any more, or another one', async () => {
    await using fake = await fakeEngine('llamacpp');
    await using page = httpStranger(() => new Response('<html>'));
    await using other = await fakeEngine('openai');
    map.places.set(DEFAULT_PLACE, fake.url);
    await engines.refresh(0);
    expect(brief()).toEqual(['llamacpp-default detected running-healthy']);
    map.places.set(DEFAULT_PLACE, page.url);
    await engines.refresh(0);
    expect(brief()).toEqual([]);
    map.places.set(DEFAULT_PLACE, fake.url);
    clock.advance(60_000);
    await engines.refresh(0);
    map.places.set(DEFAULT_PLACE, other.url);
    await engines.refresh(0);
    await engines.refresh(0);
    expect(brief()).toEqual(['openai-8080 detected running-healthy']);
  });

  test('is not looked for where the owner does not want it, nor on FLM’s own port', async () => {
    await using fake = await fakeEngine('llamacpp');
    map.places.set(DEFAULT_PLACE, fake.url);
    config = { ...config, 'engine.detect': false };
    await engines.refresh(0);
    expect([brief(), map.asked]).toEqual([[], []]);
    config = { ...config, 'engine.detect': true };
    ownPort = 8080;
    await engines.refresh(0);
    expect(brief()).toEqual([]);
  });
});

describe('refresh', () => {
  test('shares one look among all who ask at the same time', async () => {
    await using fake = await fakeEngine('openai');
    map.places.set('http://127.0.0.1:8000', fake.url);
    await Promise.all([engines.refresh(0), engines.refresh(0), engines.list(), engines.refresh(60_000)]);
    const once = fake.requests.length;
    await engines.refresh(0);
    // The second look has nothing to recognise any more.
    expect(fake.requests.length).toBeLessThan(2 * once);
  });

  test('looks only when the last look is older than asked for', async () => {
    await engines.refresh(0);
    const asked = () => map.asked.length;
    const before = asked();
    clock.advance(1_000);
    await engines.refresh(5_000);
    expect(asked()).toBe(before);
    clock.advance(4_000);
    await engines.refresh(5_000);
    expect(asked()).toBeGreaterThan(before);
  });

  test('survives a look that fails', async () => {
    const detect = config;
    config = null as unknown as ConfigSnapshot;
    await engines.refresh(0);
    config = detect;
    await using fake = await fakeEngine('llamacpp');
    map.places.set(DEFAULT_PLACE, fake.url);
    await engines.refresh(0);
    expect(brief()).toEqual(['llamacpp-default detected running-healthy']);
  });
});

describe('start', () => {
  test('looks at once, then again and again, until close', async () => {
    await using fake = await fakeEngine('llamacpp');
    map.places.set(DEFAULT_PLACE, fake.url);
    config = { ...config, 'engine.refresh_ms': 1 };
    engines.start();
    await eventually(() => brief().join() === 'llamacpp-default detected running-healthy');
    const before = fake.requests.length;
    await eventually(() => {
      clock.advance(5);
      return fake.requests.length > before + 10;
    });
    await engines.close();
    const after = fake.requests.length;
    clock.advance(60_000);
    await Bun.sleep(150);
    expect(fake.requests.length).toBe(after);
  });
});

describe('add', () => {
  test('asks an engine what it is, and names it after that', async () => {
    await using fake = await fakeEngine('llamacpp');
    map.places.set('http://127.0.0.1:7001', fake.url);
    const view = await engines.add({ url: '127.0.0.1:7001/v1/' });
    expect(view).toMatchObject({
      id: 'llamacpp-7001',
      kind: 'llamacpp',
      name: 'llama.cpp',
      url: 'http://127.0.0.1:7001',
      origin: 'manual',
      status: { status: 'running-healthy' },
    });
    expect(rows).toMatchObject([{ id: 'llamacpp-7001', credential: null, slots: null }]);
  });

  test('takes the place of the one that was found there, and its name', async () => {
    await using fake = await fakeEngine('llamacpp', { slots: 3 });
    map.places.set(DEFAULT_PLACE, fake.url);
    await engines.refresh(0);
    map.places.set('http://localhost:8080', fake.url);
    const view = await engines.add({ url: 'http://localhost:8080', slots: 1 });
    expect([view.id, view.url, view.slots]).toEqual(['llamacpp-default', 'http://localhost:8080', 1]);
    await engines.refresh(0);
    expect(brief()).toEqual(['llamacpp-default manual running-healthy']);
  });

  test('leaves one engine in one place, also when a look at that moment finds it too', async () => {
    await using fake = await fakeEngine('llamacpp');
    map.places.set(DEFAULT_PLACE, fake.url);
    const look = engines.refresh(0);
    await Promise.all([look, engines.add({ url: DEFAULT_PLACE, kind: 'llamacpp', id: 'mine' })]);
    await engines.refresh(0);
    expect(brief()).toEqual(['mine manual running-healthy']);
  });

  test('never has two engines under one name: a found one elsewhere keeps its own', async () => {
    await using one = await fakeEngine('openai', { models: ['a'] });
    await using two = await fakeEngine('openai', { models: ['b'] });
    map.places.set('http://127.0.0.1:8000', one.url);
    map.places.set('http://10.0.0.5:8000', two.url);
    await engines.refresh(0);
    expect(brief()).toEqual(['openai-8000 detected running-healthy']);
    expect((await engines.add({ url: 'http://10.0.0.5:8000' })).id).toBe('openai-8000-2');
    const clash = await errorOf(() =>
      engines.add({ url: 'http://10.0.0.6:8000', kind: 'openai', id: 'openai-8000' }),
    );
    expect([clash.code, clash.meta]).toEqual(['ENGINE_EXISTS', { engine: 'openai-8000' }]);
    expect(brief().sort()).toEqual([
      'openai-8000 detected running-healthy',
      'openai-8000-2 manual running-healthy',
    ]);
  });

  test.each([
    ['the same name', { url: 'http://10.0.0.9:1', id: 'mine' }],
    ['the same place', { url: 'http://localhost:7001/v1', id: 'other' }],
  ])('refuses %s twice', async (_, input) => {
    await engines.add({ url: 'http://127.0.0.1:7001', kind: 'openai', id: 'mine' });
    const error = await errorOf(() => engines.add({ ...input, kind: 'openai' }));
    expect([error.code, error.meta]).toEqual(['ENGINE_EXISTS', { engine: 'mine' }]);
    expect(rows).toHaveLength(1);
  });

  test('refuses the name of the trial engine, whether or not that runs', async () => {
    const input = { url: 'http://127.0.0.1:7001', kind: 'openai', id: 'trial' };
    expect(await codeOf(() => engines.add(input))).toBe('ENGINE_EXISTS');
    await engines.startTrial();
    expect(await codeOf(() => engines.add(input))).toBe('ENGINE_EXISTS');
  });

  test('gives the next free name to a second engine of the same kind and port', async () => {
    await using fake = await fakeEngine('openai');
    for (const host of ['10.0.0.1', '10.0.0.2']) {
      map.places.set(`http://${host}:8000`, fake.url);
      await engines.add({ url: `http://${host}:8000` });
    }
    expect(rows.map(({ id }) => id)).toEqual(['openai-8000', 'openai-8000-2']);
  });

  test('refuses to take an engine for what it is not, and a name that means a kind', async () => {
    await using fake = await fakeEngine('vllm');
    map.places.set('http://127.0.0.1:7001', fake.url);
    const wrong = await errorOf(() => engines.add({ url: 'http://127.0.0.1:7001', kind: 'ollama' }));
    expect([wrong.code, wrong.message]).toEqual(['INVALID_INPUT', expect.stringContaining('is vLLM')]);
    const taken = await errorOf(() => engines.add({ url: 'http://127.0.0.1:7001', id: 'ollama' }));
    expect([taken.code, taken.message]).toEqual([
      'INVALID_INPUT',
      expect.stringContaining('means the engines'),
    ]);
    expect((await engines.add({ url: 'http://127.0.0.1:7001', kind: 'openai', id: 'vllm-2' })).kind).toBe(
      'openai',
    );
  });

  test('takes an engine that does not run when it is told what it is', async () => {
    const view = await engines.add({ url: 'http://gpu-box:9000', kind: 'OpenAI', id: 'gpu' });
    expect(view.status).toMatchObject({
      status: 'error-network',
      reason: expect.stringContaining('cannot be resolved'),
    });
    const down = await engines.add({ url: 'http://10.0.0.7:9000', kind: 'llama.cpp' });
    expect([down.kind, down.status.status]).toEqual(['llamacpp', 'error-network']);
  });

  test('and does not take one that does not run without', async () => {
    const error = await errorOf(() => engines.add({ url: 'http://10.0.0.7:9000' }));
    expect([error.code, error.hint]).toEqual([
      'ENGINE_NETWORK_ERROR',
      'Start it first, or say what it is with --kind ollama|vllm|lmstudio|llamacpp|openai.',
    ]);
    const kind = await errorOf(() => engines.add({ url: 'http://10.0.0.7:9000', kind: 'gpt' }));
    expect([kind.code, kind.meta.field]).toEqual(['INVALID_INPUT', 'kind']);
    expect(rows).toEqual([]);
  });

  test.each([
    ['the metadata service of a cloud', 'http://169.254.169.254', 'link-local'],
    ['an address that is none', 'http://0.0.0.0:1', 'no usable address'],
    ['something that is not HTTP', 'ftp://10.0.0.1', 'not http'],
    ['FLM itself', 'http://localhost:9999', 'FLM itself'],
    ['FLM itself on IPv6', 'http://[::1]:9999', 'FLM itself'],
  ])('refuses %s', async (_, url, reason) => {
    const error = await errorOf(() => engines.add({ url, kind: 'openai' }));
    expect([error.code, String(error.meta.reason)]).toEqual([
      'ENGINE_URL_REFUSED',
      expect.stringContaining(reason),
    ]);
    expect([rows, map.asked]).toEqual([[], []]);
  });

  test('uses the key it was given, shows it nowhere, and says when it is not accepted', async () => {
    await using fake = await fakeEngine('openai', { apiKey: 'sk-right' });
    map.places.set('http://127.0.0.1:7001', fake.url);
    const wrong = await engines.add({ url: 'http://127.0.0.1:7001', key: 'sk-wrong' });
    expect(wrong.status).toMatchObject({ status: 'needs-key', reason: 'it does not accept its key' });
    await engines.remove(wrong.id);
    const right = await engines.add({ url: 'http://127.0.0.1:7001', key: 'sk-right' });
    expect(right.status.status).toBe('running-healthy');
    expect(JSON.stringify([right, await engines.list(), engines.states(), events])).not.toMatch(/sk-/);
  });
});

describe('remove', () => {
  test('forgets an engine that was added, and finds it again if it still runs', async () => {
    await using fake = await fakeEngine('llamacpp');
    map.places.set(DEFAULT_PLACE, fake.url);
    await engines.add({ url: DEFAULT_PLACE, id: 'mine' });
    expect(await engines.remove('mine')).toEqual({ id: 'mine', removed: true });
    expect(brief()).toEqual(['llamacpp-default detected running-healthy']);
    expect(rows).toEqual([]);
  });

  test('refuses one that was found, the trial engine and one that is not there, each with what to do', async () => {
    await using fake = await fakeEngine('llamacpp');
    map.places.set(DEFAULT_PLACE, fake.url);
    await engines.startTrial();
    const detected = await errorOf(() => engines.remove('llamacpp-default'));
    const own = await errorOf(() => engines.remove('trial'));
    expect([detected.code, detected.hint]).toEqual([
      'INVALID_INPUT',
      expect.stringContaining('engine.detect false'),
    ]);
    expect([own.code, own.hint]).toEqual([
      'INVALID_INPUT',
      expect.stringContaining('flm engines try --remove'),
    ]);
    expect(await codeOf(() => engines.remove('nobody'))).toBe('ENGINE_NOT_FOUND');
  });
});

describe('the trial engine', () => {
  test('is an engine like others while it runs, and none when it does not', async () => {
    await using fake = await fakeEngine('llamacpp');
    map.places.set('http://127.0.0.1:6000', fake.url);
    expect(await engines.startTrial()).toEqual({
      installed: true,
      running: true,
      url: 'http://127.0.0.1:6000',
      pid: 77,
      model: 'smollm2',
      error: null,
    });
    expect(brief()).toEqual(['trial trial running-healthy']);
    expect(engines.states()[0]?.slots).toBe(4);
    await engines.stopTrial();
    expect(brief()).toEqual([]);
    expect(recorded).toEqual(['engine.trial_started', 'engine.trial_stopped']);
  });

  test('ends with FLM', async () => {
    await engines.startTrial();
    await engines.close();
    expect(trial.now.running).toBe(false);
  });
});

describe('open', () => {
  test('sends the request to the engine of the Lease, with FLM’s credential and no other', async () => {
    await using fake = await fakeEngine('openai', { apiKey: 'sk-engine' });
    map.places.set('http://127.0.0.1:7001', fake.url);
    await engines.add({ url: 'http://127.0.0.1:7001', id: 'mine', key: 'sk-engine' });
    const answer = await engines.open(leaseOn('mine'), CALL, never);
    await answer.body.bytes();
    expect(answer.status).toBe(200);
    expect(headerOf(fake, -1, 'authorization')).toBe('Bearer sk-engine');
    expect(fake.requests.at(-1)?.body.toString()).toBe(CALL.body);
  });

  test('knows an engine that was added before the first look', async () => {
    rows = [{ id: 'mine', kind: 'openai', baseUrl: 'http://127.0.0.1:7001', slots: null, credential: null }];
    await start();
    await using fake = await fakeEngine('openai');
    map.places.set('http://127.0.0.1:7001', fake.url);
    expect((await engines.open(leaseOn('mine'), CALL, never)).status).toBe(200);
  });

  test('says in FLM’s words what went wrong, and looks again at once', async () => {
    await using fake = await fakeEngine('openai');
    map.places.set('http://127.0.0.1:7001', fake.url);
    await engines.add({ url: 'http://127.0.0.1:7001', id: 'mine' });
    map.places.clear();
    const refused = await errorOf(() => engines.open(leaseOn('mine'), CALL, never));
    expect([refused.code, refused.meta]).toEqual([
      'ENGINE_NETWORK_ERROR',
      { engine: 'mine', reason: 'nothing listens there' },
    ]);
    await eventually(() => brief().join() === 'mine manual error-network');
    expect(await codeOf(() => engines.open(leaseOn('nobody'), CALL, never))).toBe('ENGINE_NOT_FOUND');
  });

  test('says ENGINE_API_ERROR for an answer that is not HTTP', async () => {
    await using fake = await fakeEngine('openai');
    map.places.set('http://127.0.0.1:7001', fake.url);
    await engines.add({ url: 'http://127.0.0.1:7001', id: 'mine' });
    fake.setFault({ kind: 'garbage' });
    expect(await codeOf(() => engines.open(leaseOn('mine'), CALL, never))).toBe('ENGINE_API_ERROR');
  });

  test('ends with the reason of whoever ended it', async () => {
    await using fake = await fakeEngine('openai', { fault: { kind: 'stall-before-headers' } });
    map.places.set('http://127.0.0.1:7001', fake.url);
    await engines.add({ url: 'http://127.0.0.1:7001', id: 'mine' });
    const client = new AbortController();
    const opening = engines.open(leaseOn('mine'), CALL, client.signal);
    while (fake.busy() === 0) await settle();
    client.abort(new FlmError('CLIENT_CLOSED_REQUEST'));
    expect(await codeOf(() => opening)).toBe('CLIENT_CLOSED_REQUEST');
    await fake.idle();
    expect(fake.aborted()).toBe(1);
  });
});

describe('liveness', () => {
  const ref = (id: string): EngineRef => ({ id, kind: 'openai', baseUrl: '', origin: 'manual' });

  test('is alive while it answers, unsure while it does not, gone when nobody is there', async () => {
    await using fake = await fakeEngine('openai');
    map.places.set('http://127.0.0.1:7001', fake.url);
    await engines.add({ url: 'http://127.0.0.1:7001', id: 'mine' });
    expect(await engines.liveness(ref('mine'))).toBe('alive');
    config = { ...config, 'engine.timeout_ms': 100 };
    fake.setFault({ kind: 'stall-before-headers', on: 'everything' });
    expect(await engines.liveness(ref('mine'))).toBe('unsure');
    map.places.clear();
    expect(await engines.liveness(ref('mine'))).toBe('gone');
    expect(await engines.liveness(ref('nobody'))).toBe('gone');
  });

  test('is alive also when the engine wants a key', async () => {
    await using fake = await fakeEngine('openai', { apiKey: 'k' });
    map.places.set('http://127.0.0.1:7001', fake.url);
    await engines.add({ url: 'http://127.0.0.1:7001', id: 'mine', key: 'wrong' });
    expect(await engines.liveness(ref('mine'))).toBe('alive');
  });
});

describe('the list', () => {
  test('is of now, or of a quarter of a minute ago at most', async () => {
    await using fake = await fakeEngine('openai');
    map.places.set('http://127.0.0.1:8000', fake.url);
    expect((await engines.list()).items).toHaveLength(1);
    map.places.clear();
    expect((await engines.list()).items[0]?.status.status).toBe('running-healthy');
    clock.advance(15_000);
    expect((await engines.list()).items[0]?.status.status).toBe('error-network');
  });

  test('of a detection looks in any case, and names programs that do not run', async () => {
    await engines.list();
    await using fake = await fakeEngine('openai');
    map.places.set('http://127.0.0.1:8000', fake.url);
    env = { PATH: '', HOME: '/nowhere', LLAMA_CPP_PATH: process.execPath };
    await start();
    const { items } = await engines.detect();
    expect(items.map(({ id, status }) => [id, status.status])).toEqual([
      ['openai-8000', 'running-healthy'],
      ['llamacpp-default', 'installed-only'],
    ]);
    // One that runs needs no mention of its program.
    await using llama = await fakeEngine('llamacpp');
    map.places.set(DEFAULT_PLACE, llama.url);
    expect((await engines.detect()).items.map(({ status }) => status.status)).toEqual([
      'running-healthy',
      'running-healthy',
    ]);
  });
});

test('whether any engine is reached over HTTPS, and whether streams must be asked for usage', async () => {
  expect(engines.anyOverHttps()).toBe(false);
  rows = [{ id: 'mine', kind: 'openai', baseUrl: 'https://box', slots: null, credential: null }];
  await start();
  expect(engines.anyOverHttps()).toBe(true);
  const asks = (kind: EngineRef['kind'], route: InferenceRoute) =>
    engines.mustAskForUsage({ id: 'x', kind, baseUrl: '', origin: 'manual' }, route);
  const routes = ['/v1/chat/completions', '/v1/completions', '/v1/responses'] as const;
  expect(routes.map((route) => asks('openai', route))).toEqual([true, true, false]);
  expect(routes.map((route) => asks('ollama', route))).toEqual([true, false, false]);
  expect(routes.map((route) => asks('llamacpp', route))).toEqual([false, false, false]);
});
