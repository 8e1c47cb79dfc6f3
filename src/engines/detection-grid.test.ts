/**
 * The detection grid (issue #4, point 1): every engine in every situation, as one table; and everything that is no
 * engine, of which nothing may be found.
 */
import { afterAll, describe, expect, test } from 'bun:test';
import { egressMap } from '../../test/support/egress-map';
import { fakeEngine } from '../../test/support/fakes';
import { httpStranger, tcpStranger } from '../../test/support/strangers';
import type { ConfigSnapshot } from '../config';
import { SETTING_KEYS, SETTINGS } from '../config';
import { createBus } from '../lib/bus';
import { manualClock, systemClock } from '../lib/clock';
import { silentLog } from '../lib/log';
import type { ListeningProgram } from './processes';
import { createEngines, type Engines } from './service';
import type { Trial } from './trial';

const KINDS = ['ollama', 'vllm', 'lmstudio', 'llamacpp', 'openai'] as const;
type Kind = (typeof KINDS)[number];

const PORT: Readonly<Record<Kind, number>> = {
  ollama: 11434,
  vllm: 8000,
  lmstudio: 1234,
  llamacpp: 8080,
  openai: 5000,
};
const DEFAULTS = Object.fromEntries(
  SETTING_KEYS.map((key) => [key, SETTINGS[key].default]),
) as ConfigSnapshot;
const OFF = { installed: false, running: false, baseUrl: null, pid: null, model: 'm', slots: 4, error: null };
const NO_TRIAL = { state: () => OFF, stop: async () => {} } as unknown as Trial;
const NO_HISTORY = { write: async () => {}, read: () => Promise.reject(new Error('not here')) };

interface Place {
  /** Where FLM sees it, and where it really is. */
  readonly at: string;
  readonly url: string;
}

interface Look {
  readonly places: readonly Place[];
  readonly programs?: readonly string[];
  readonly config?: Partial<ConfigSnapshot>;
}

/** Looks once at a world in which only these places exist. */
async function look<Result>(
  { places, programs = [], config = {} }: Look,
  then: (engines: Engines) => Result,
) {
  using map = egressMap(Object.fromEntries(places.map(({ at, url }) => [at, url])));
  const engines = await createEngines({
    store: { load: async () => [], insert: async () => {}, remove: async () => {} },
    historyStore: NO_HISTORY,
    egress: map.egress,
    config: () => ({ ...DEFAULTS, 'engine.timeout_ms': 2_000, ...config }),
    env: {},
    // Latencies are part of this.
    clock: { ...manualClock(), monotonicMs: systemClock.monotonicMs },
    bus: createBus(),
    log: silentLog,
    trial: NO_TRIAL,
    record: async () => {},
    processes: { engines: async () => programs.map(programAt), isForeign: () => false },
    isOwnPort: () => false,
    onChange: () => {},
  });
  try {
    await engines.refresh(0);
    return await then(engines);
  } finally {
    await engines.close();
  }
}

function programAt(baseUrl: string): ListeningProgram {
  return { pid: 1, command: 'an engine', baseUrl, variable: () => null };
}

const brief = (engines: Engines) =>
  engines
    .states()
    .map(({ ref, status }) => `${ref.id} ${status}`)
    .join(', ') || 'nothing';

const grid: Record<string, string>[] = [];
afterAll(() => console.table(grid));

describe.each(KINDS)('%s', (kind) => {
  const row: Record<string, string> = { engine: kind };
  grid.push(row);
  const here = `http://127.0.0.1:${PORT[kind]}`;
  const own = kind === 'openai' ? `openai-${PORT[kind]}` : `${kind}-default`;

  async function expectFound(situation: string, world: Look, expected: string): Promise<void> {
    const found = await look(world, brief);
    row[situation] = found;
    expect(found).toBe(expected);
  }

  test('default port', async () => {
    await using fake = await fakeEngine(kind);
    await expectFound('default port', { places: [{ at: here, url: fake.url }] }, `${own} running-healthy`);
  });

  test('other port, found by its program', async () => {
    await using fake = await fakeEngine(kind);
    const at = 'http://127.0.0.1:7777';
    const world = { places: [{ at, url: fake.url }], programs: [at] };
    await expectFound('other port', world, `${kind}-7777 running-healthy`);
  });

  test('on another engine’s port', async () => {
    await using fake = await fakeEngine(kind);
    const port = kind === 'vllm' ? 8080 : 8000;
    const world = { places: [{ at: `http://127.0.0.1:${port}`, url: fake.url }] };
    await expectFound('wrong port', world, `${kind}-${port} running-healthy`);
  });

  // Ollama knows no keys: a proxy in front of it would ask, and would be all that can be seen.
  test.skipIf(kind === 'ollama')('key required', async () => {
    await using fake = await fakeEngine(kind, { apiKey: 'sk-engine' });
    await expectFound('key required', { places: [{ at: here, url: fake.url }] }, `${own} needs-key`);
  });

  test('slow', async () => {
    await using fake = await fakeEngine(kind);
    fake.setFault({ kind: 'slow', delayMs: 60, on: 'everything' });
    const world = {
      places: [{ at: here, url: fake.url }],
      config: { 'engine.health_latency_threshold_ms': 50 },
    };
    await expectFound('slow', world, `${own} running-degraded`);
  });

  test('IPv6 only', async () => {
    await using fake = await fakeEngine(kind);
    const at = `http://[::1]:${PORT[kind]}`;
    await expectFound('IPv6 only', { places: [{ at, url: fake.url }] }, `${own} running-healthy`);
    expect(
      await look({ places: [{ at, url: fake.url }] }, (engines) => engines.states()[0]?.ref.baseUrl),
    ).toBe(at);
  });

  test('dead: nothing is found, and one that was there is gone', async () => {
    await expectFound('dead', { places: [] }, 'nothing');
    const fake = await fakeEngine(kind);
    const died = await look({ places: [{ at: here, url: fake.url }] }, async (engines) => {
      await fake.close();
      await engines.refresh(0);
      return brief(engines);
    });
    row.dies = died;
    expect(died).toBe(`${own} error-network`);
  });

  test('hangs: cut off, and not found', async () => {
    await using fake = await fakeEngine(kind);
    fake.setFault({ kind: 'stall-before-headers', on: 'everything' });
    const world = { places: [{ at: here, url: fake.url }], config: { 'engine.timeout_ms': 150 } };
    await expectFound('hangs', world, 'nothing');
  });
});

describe('what is no engine is not found', () => {
  const bytes = (text: string) => Buffer.from(text, 'latin1');
  const page = (server: string, status = 200, body = '<html>Welcome</html>', type = 'text/html') =>
    httpStranger(() => new Response(body, { status, headers: { server, 'content-type': type } }));
  const json = (body: unknown, status = 200) =>
    httpStranger(
      () => new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } }),
    );

  const STRANGERS = {
    'nginx, its first page': () => page('nginx/1.22.1'),
    'nginx that lacks everything': () => page('nginx/1.22.1', 404),
    'a page that wants a password': () => page('Apache', 401),
    // What PostgreSQL says to HTTP: a FATAL error of its own protocol, then it closes.
    PostgreSQL: () =>
      tcpStranger(null, bytes('E\0\0\0\x85SFATAL\0VFATAL\0C0A000\0Munsupported frontend protocol\0\0')),
    'Redis, which answers in lines': () =>
      tcpStranger(null, bytes("-ERR wrong number of arguments for 'get' command\r\n")),
    'SSH, which speaks first': () => tcpStranger(bytes('SSH-2.0-OpenSSH_9.2p1\r\n'), null),
    'a server that says nothing': () => tcpStranger(null, null),
    'some other API with a version': () => json({ version: '1.2.3' }),
    'some other API with models': () => json({ models: ['a', 'b'] }),
    'some other API with data': () => json({ data: [], ok: true }, 404),
    'some other API that wants a key': () => json({ message: 'Unauthorized' }, 401),
    'FLM itself': () =>
      httpStranger(() => Response.json({ object: 'list', data: [] }, { headers: { server: 'flm' } })),
  } as const;

  test.each(Object.keys(STRANGERS) as (keyof typeof STRANGERS)[])('%s', async (name) => {
    await using stranger = STRANGERS[name]();
    const places = Object.values(PORT).map((port) => ({ at: `http://127.0.0.1:${port}`, url: stranger.url }));
    expect(await look({ places, config: { 'engine.timeout_ms': 300 } }, brief)).toBe('nothing');
  });

  test('a stranger is left in peace for a while, and an engine that takes its place is seen', async () => {
    await using stranger = page('nginx');
    await using fake = await fakeEngine('llamacpp');
    using map = egressMap({ 'http://127.0.0.1:8080': stranger.url });
    const clock = manualClock();
    const engines = await createEngines({
      store: { load: async () => [], insert: async () => {}, remove: async () => {} },
      historyStore: NO_HISTORY,
      egress: map.egress,
      config: () => DEFAULTS,
      env: {},
      clock,
      bus: createBus(),
      log: silentLog,
      trial: NO_TRIAL,
      record: async () => {},
      processes: { engines: async () => [], isForeign: () => false },
      isOwnPort: () => false,
      onChange: () => {},
    });
    const askedThere = () => map.asked.filter((place) => place === 'http://127.0.0.1:8080').length;
    await engines.refresh(0);
    const first = askedThere();
    expect(first).toBeGreaterThan(0);
    await engines.refresh(0);
    expect(askedThere()).toBe(first);
    clock.advance(15_001);
    await engines.refresh(0);
    expect(askedThere()).toBe(2 * first);
    clock.advance(30_001);
    map.places.set('http://127.0.0.1:8080', fake.url);
    await engines.refresh(0);
    expect(brief(engines)).toBe('llamacpp-default running-healthy');
    await engines.close();
  });
});
