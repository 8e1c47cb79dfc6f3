/**
 * Two engines with the same model, one of which goes wrong: while nothing of an answer has reached the client, the other
 * one answers; after that, or when neither can, the client is told. Each Lease and each Ticket is closed once (gateway.ts).
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ConfigSnapshot } from '../../src/config';
import type { InferenceRoute } from '../../src/contract';
import { FAKE_KINDS, type Fault } from '../fake';
import { type Account, requestIdOf, startGateway, workOf } from './support/gateway';
import { type Pair, startPair } from './support/pair';
import { type Answer, headerOf } from './support/raw';
import {
  ALL,
  ALL_ROUND,
  bodyFor,
  CHAT,
  MESSAGES,
  type Mode,
  modesOf,
  RESPONSES,
  SPOKEN,
} from './support/routes';
import { chunkOf, LAST_CHUNK, type Script, STREAM_HEAD, startScripted, whole } from './support/scripted';
import { asRecord, jsonIn, readStream } from './support/sse';
import { until } from './support/until';
import { judge } from './support/verdict';

function ask({ gateway }: Pair, route: InferenceRoute, mode: Mode): Promise<Answer> {
  return gateway.post(route, bodyFor(route, ALL, { stream: mode === 'stream' }));
}

/** Outcomes of the attempts, then of the request. */
function outcomes({ attempts, requests }: Account): string {
  return [...attempts, ...requests].map(({ outcome }) => outcome).join(' ');
}

async function accountOf({ gateway }: Pair, answer: Answer): Promise<string> {
  await gateway.settled();
  return outcomes(gateway.account(requestIdOf(answer)));
}

function expectFine(answer: Answer, route: InferenceRoute, mode: Mode): void {
  expect(answer.status).toBe(200);
  expect(judge(answer, route)).toBe(
    mode === 'whole' ? "engine's JSON" : route === RESPONSES || route === MESSAGES ? 'end' : '[DONE]',
  );
}

/** What happens before anything of an answer was sent, and what the Lease is closed with. */
const BEFORE: readonly (readonly [name: string, Fault, lease: string])[] = [
  ['dies before its headers', { kind: 'die-before-headers' }, 'failed'],
  ['speaks no HTTP', { kind: 'garbage' }, 'failed'],
  ['dies after its headers', { kind: 'die-mid-stream', afterChunks: 0 }, 'failed'],
  ['dies within its first event', { kind: 'die-mid-frame', afterChunks: 0 }, 'failed'],
  ['answers 429', { kind: 'status-429' }, 'done'],
  ['answers 500', { kind: 'status-500' }, 'failed'],
  ['answers 503', { kind: 'status-503' }, 'failed'],
  ['redirects', { kind: 'redirect', location: 'http://127.0.0.1:9/' }, 'failed'],
  ['answers 200 and then an error', { kind: 'error-frame' }, 'failed'],
];

describe.each(FAKE_KINDS)('%s', (kind) => {
  // Each test makes both engines well again.
  let pair: Pair;
  beforeAll(async () => {
    pair = await startPair(kind);
  });
  afterAll(() => pair[Symbol.asyncDispose]());

  const cells = SPOKEN[kind].flatMap((route) => modesOf(route).map((mode) => [route, mode] as const));

  // Counting tokens is no work for the fakes: it meets no fault.
  const work = cells.filter(([route]) => route !== '/v1/messages/count_tokens');

  test.each(work)('%s (%s): the other engine answers', async (route, mode) => {
    for (const [name, fault, lease] of BEFORE) {
      pair.faultNext(fault);
      const answer = await ask(pair, route, mode);
      expect([name, answer.status]).toEqual([name, 200]);
      expectFine(answer, route, mode);
      const { first, second } = pair.met();
      expect(headerOf(answer, 'x-flm-engine')).toBe(second === pair.fakes[0] ? 'one' : 'two');
      expect([name, await accountOf(pair, answer)]).toEqual([name, `${lease} done done`]);
      expect(first.busy()).toBe(0);
      await pair.heal();
    }
  });

  test.each(work.filter(([, mode]) => mode === 'stream'))(
    '%s: after the first words the client is told, and nothing looks complete',
    async (route) => {
      for (const how of ['die-mid-stream', 'reset-mid-stream', 'die-mid-frame', 'error-frame'] as const) {
        pair.faultNext({ kind: how, afterChunks: 6 });
        const answer = await ask(pair, route, 'stream');
        expect(answer.status).toBe(200);
        expect(judge(answer, route)).toMatch(/^(error (network|api)_error|engine's error)$/);
        expect(readStream(answer.body).data.length).toBeGreaterThan(3);
        expect(await accountOf(pair, answer)).toBe('failed failed');
        await pair.heal();
      }
    },
  );

  test('an answer in one piece that breaks off is given whole by the other', async () => {
    for (const fault of [{ kind: 'die-mid-stream' }, { kind: 'wrong-content-length' }] as const) {
      pair.faultNext(fault);
      const answer = await ask(pair, CHAT, 'whole');
      expectFine(answer, CHAT, 'whole');
      expect(await accountOf(pair, answer)).toBe('failed done done');
      await pair.heal();
    }
  });

  test.each(['stream', 'whole'] as const)('both go wrong (%s): what the last one said', async (mode) => {
    for (const [fault, status, verdict, leases] of [
      [{ kind: 'status-503' }, 503, "engine's error", 'failed failed failed'],
      [{ kind: 'status-429' }, 429, "engine's error", 'done done done'],
      [{ kind: 'die-before-headers' }, 502, 'error network_error', 'failed failed failed'],
    ] as const) {
      pair.faultNext(fault, fault);
      const answer = await ask(pair, CHAT, mode);
      expect([answer.status, judge(answer)]).toEqual([status, verdict]);
      expect(await accountOf(pair, answer)).toBe(leases);
      await pair.heal();
    }
  });

  test('a request that is itself at fault is not sent twice', async () => {
    const asked = () => pair.fakes.flatMap(workOf).filter(({ path }) => path === CHAT).length;
    const before = asked();
    const answer = await pair.gateway.post(CHAT, { model: ALL, response_format: { type: 'json_object' } });
    expect(answer.status).toBe(400);
    expect(asked() - before).toBe(1);
  });
});

/** A gateway in front of two scripted engines; `first` answers whoever is asked first. */
async function withScripts(
  scripts: { readonly first: Script; readonly second: Script },
  settings: Partial<ConfigSnapshot> = {},
) {
  const asked: string[] = [];
  const script =
    (id: string): Script =>
    (request, wire) => {
      asked.push(id);
      return asked.length === 1 ? scripts.first(request, wire) : scripts.second(request, wire);
    };
  const engines = [await startScripted(script('one')), await startScripted(script('two'))] as const;
  const gateway = await startGateway({ settings });
  await gateway.addEngine('openai', engines[0].url, { id: 'one' });
  await gateway.addEngine('openai', engines[1].url, { id: 'two' });
  return {
    gateway,
    asked,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      for (const engine of engines) await engine[Symbol.asyncDispose]();
    },
  };
}

/** Answers with these events and closes properly. */
function says(events: readonly string[], ending: 'end' | 'reset' | 'wait' = 'end'): Script {
  return async (_, wire) => {
    await wire.write(STREAM_HEAD);
    for (const event of events) await wire.write(chunkOf(event));
    if (ending === 'wait') await wire.wait();
    if (ending === 'end') await wire.write(LAST_CHUNK);
    else await wire.wait(25);
    return ending === 'reset' ? 'reset' : 'keep-alive';
  };
}

const event = (json: object): string => {
  const { type } = json as { type?: string };
  return `${type === undefined ? '' : `event: ${type}\n`}data: ${JSON.stringify(json)}\n\n`;
};
const chunk = (delta: object, finish: string | null = null): string =>
  event({ choices: [{ index: 0, delta, finish_reason: finish }] });
const WORDS = [chunk({ role: 'assistant', content: 'from two' }), chunk({}, 'stop'), 'data: [DONE]\n\n'];

/** What engines say before they have said anything, by route, and a whole answer. */
const OPENINGS: readonly (readonly [
  InferenceRoute,
  opening: readonly string[],
  answer: readonly string[],
])[] = [
  [CHAT, [': hello\n\n', chunk({ role: 'assistant', content: '' })], WORDS],
  [CHAT, [chunk({ role: 'assistant', content: null, tool_calls: [] })], WORDS],
  [
    RESPONSES,
    [
      event({ type: 'response.created', response: { model: 'scripted', error: null } }),
      event({ type: 'response.in_progress', response: { model: 'scripted' } }),
      event({ type: 'response.output_item.added', item: { type: 'message', content: [] } }),
      event({ type: 'response.content_part.added', part: { type: 'output_text', text: '' } }),
    ],
    [
      event({ type: 'response.output_text.delta', delta: 'from two' }),
      event({ type: 'response.completed', response: { model: 'scripted' } }),
    ],
  ],
  [
    MESSAGES,
    [
      event({ type: 'message_start', message: { model: 'scripted', usage: { input_tokens: 3 } } }),
      event({ type: 'ping' }),
      event({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
    ],
    [
      event({ type: 'content_block_delta', delta: { type: 'text_delta', text: 'from two' } }),
      event({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 2 } }),
      event({ type: 'message_stop' }),
    ],
  ],
];

describe.each(OPENINGS)('%s: an opening, and then', (route, opening, answer) => {
  const broken: readonly (readonly [string, Script])[] = [
    ['the connection breaks', says(opening, 'reset')],
    ['the stream ends', says(opening)],
    [
      'an error',
      says([...opening, event({ type: 'error', error: { message: 'out of memory', code: 500 } })]),
    ],
    [
      'too much to do',
      says([...opening, event({ type: 'error', error: { type: 'rate_limit_error', message: 'x' } })]),
    ],
  ];
  test.each(broken)('%s: the other engine answers, with its own opening only', async (_, first) => {
    await using setup = await withScripts({ first, second: says([...opening, ...answer]) });
    const got = await setup.gateway.post(route, bodyFor(route, 'scripted', { stream: true }));
    expect(got.status).toBe(200);
    expect(got.body.toString()).toBe([...opening, ...answer].join(''));
    expect(new Set(setup.asked).size).toBe(2);
    expect(headerOf(got, 'x-flm-engine')).toBe(setup.asked[1] ?? '');
  });

  test("an error that is the request's own: passed as it is, and nobody else is asked", async () => {
    const error = event({ type: 'error', error: { message: 'too long', code: 400 } });
    await using setup = await withScripts({ first: says([...opening, error]), second: says(answer) });
    const got = await setup.gateway.post(route, bodyFor(route, 'scripted', { stream: true }));
    expect(got.body.toString()).toBe([...opening, error].join(''));
    expect(setup.asked).toHaveLength(1);
    await setup.gateway.settled();
    expect(outcomes(setup.gateway.account())).toBe('done done');
  });

  test('nothing more, and then it leaves: told with a status, when nobody else is there', async () => {
    await using engine = await startScripted(says(opening, 'reset'));
    await using gateway = await startGateway();
    await gateway.addEngine('openai', engine.url, { id: 'only' });
    const got = await gateway.post(route, bodyFor(route, 'scripted', { stream: true }));
    expect(got.status).toBe(502);
    expect(judge(got, route)).toMatch(/^error (network|api)_error$/);
  });
});

test('an opening without an end is let go when it is no opening any more', async () => {
  const long = chunk({ role: 'assistant', content: '', refusal: null, x: [] });
  const many = Array.from({ length: 1_000 }, () => long);
  await using setup = await withScripts({ first: says([...many, ...WORDS], 'reset'), second: says(WORDS) });
  const got = await setup.gateway.post(CHAT, bodyFor(CHAT, 'scripted', { stream: true }));
  expect(got.body.toString()).toBe([...many, ...WORDS].join(''));
  expect(setup.asked).toHaveLength(1);
});

test('what llama.cpp tells of its progress is not kept back', async () => {
  const progress = event({
    choices: [{ delta: { role: 'assistant', content: null } }],
    prompt_progress: { processed: 1 },
  });
  await using setup = await withScripts({ first: says([progress], 'wait'), second: says(WORDS) });
  const client = await setup.gateway.start(CHAT, bodyFor(CHAT, 'scripted', { stream: true }));
  await client.until(() => client.received().includes('prompt_progress'));
  client.close();
  await setup.gateway.settled();
  const [attempt] = setup.gateway.account().attempts;
  // Not a word has come.
  expect([attempt?.outcome, attempt?.firstTokenMs]).toEqual(['aborted', null]);
});

test('after the grace, with pings sent: another engine can still answer', async () => {
  const late: Script = async (_, wire) => {
    await wire.wait(900);
    return 'reset';
  };
  await using setup = await withScripts(
    { first: late, second: says(WORDS) },
    { 'proxy.header_grace_ms': 100, 'proxy.ping_interval_ms': 200 },
  );
  const got = await setup.gateway.post(CHAT, bodyFor(CHAT, 'scripted', { stream: true }));
  expect(readStream(got.body).comments.length).toBeGreaterThan(0);
  expect(judge(got)).toBe('[DONE]');
  expect(got.body.toString()).toContain('from two');
});

test.each(['stream', 'whole'] as const)(
  'an engine that falls silent and has hung (%s): the other one answers',
  async (mode) => {
    await using pair = await startPair('openai', { 'proxy.stall_probe_ms': 300, 'engine.timeout_ms': 300 });
    pair.faultNext({ kind: 'stall-before-headers', on: 'everything' });
    const answer = await ask(pair, CHAT, mode);
    expectFine(answer, CHAT, mode);
    expect(await accountOf(pair, answer)).toBe('failed done done');
    expect(pair.met().first.aborted()).toBe(1);
    await pair.heal();
  },
  15_000,
);

describe('what FLM itself refuses', () => {
  test('a queue that is full: the other engine is asked; both full: 429', async () => {
    const gateway = await startGateway({ settings: { 'engine.queue_limit': 0 } });
    await using _ = gateway;
    const stuck = { ...ALL_ROUND, fault: { kind: 'stall-before-headers' } } as const;
    const one = await gateway.addFake('openai', stuck, { id: 'one', slots: 1 });
    const two = await gateway.addFake('openai', stuck, { id: 'two', slots: 1 });
    const body = bodyFor(CHAT, ALL);
    const held = [await gateway.start(CHAT, body)];
    await until(() => one.busy() + two.busy() === 1);
    held.push(await gateway.start(CHAT, body));
    await until(() => one.busy() + two.busy() === 2);
    const refused = await gateway.post(CHAT, body);
    expect([refused.status, judge(refused)]).toEqual([429, 'error queue_full']);
    await until(() => gateway.account(requestIdOf(refused)).requests.length === 1);
    expect(outcomes(gateway.account(requestIdOf(refused)))).toBe('refused');
    for (const client of held) client.close();
  });

  test('a breaker that is open: the other engine is asked; alone: 503 and when to come back', async () => {
    const gateway = await startGateway({ settings: { 'engine.breaker_failures': 1 } });
    await using _ = gateway;
    const dead = await gateway.addFake(
      'openai',
      { ...ALL_ROUND, fault: { kind: 'die-before-headers' } },
      { id: 'dead' },
    );
    const well = await gateway.addFake('openai', ALL_ROUND, { id: 'well' });
    for (let at = 0; at < 4; at += 1) {
      expectFine(await gateway.post(CHAT, bodyFor(CHAT, ALL)), CHAT, 'whole');
    }
    expect(well.served()).toBe(4);
    // The breaker has kept it from being asked again.
    expect(workOf(dead).length).toBeLessThanOrEqual(2);
    if (workOf(dead).length === 0) await gateway.post(CHAT, bodyFor(CHAT, `flm://dead/${ALL}`));
    const refused = await gateway.post(CHAT, bodyFor(CHAT, `flm://dead/${ALL}`));
    expect([refused.status, judge(refused)]).toEqual([503, 'error engine_unavailable']);
    expect(Number(headerOf(refused, 'retry-after'))).toBeGreaterThanOrEqual(1);
    await gateway.settled();
    expect(outcomes(gateway.account(requestIdOf(refused)))).toBe('refused');
  });
});

describe('nobody took over: the client gets what was answered', () => {
  const busy =
    (line: string): Script =>
    async (_, wire) => {
      await wire.write(whole(line, '{"error":{"message":"not now"}}', ['Retry-After: 7']));
      return 'keep-alive';
    };
  const failing = says([event({ error: { message: 'out of memory', code: 500 } })]);

  /** `one` dies and its breaker opens; `two` answers by `script`. */
  async function withOpenBreaker(script: Script, settings: Partial<ConfigSnapshot> = {}) {
    const dead = await startScripted(async () => 'reset');
    const well = await startScripted(script);
    const gateway = await startGateway({ settings: { 'engine.breaker_failures': 1, ...settings } });
    await gateway.addEngine('openai', dead.url, { id: 'one' });
    await gateway.addEngine('openai', well.url, { id: 'two' });
    const opening = await gateway.post(CHAT, bodyFor(CHAT, 'flm://one/scripted'));
    expect(opening.status).toBe(502);
    return {
      gateway,
      async [Symbol.asyncDispose]() {
        await gateway[Symbol.asyncDispose]();
        for (const engine of [dead, well]) await engine[Symbol.asyncDispose]();
      },
    };
  }

  test.each([
    ['429 Too Many Requests', false, 'done done'],
    ['429 Too Many Requests', true, 'done done'],
    ['500 Internal Server Error', false, 'failed failed'],
    ['500 Internal Server Error', true, 'failed failed'],
  ] as const)('%s (stream: %p), and the breaker of the other is open', async (line, stream, account) => {
    await using setup = await withOpenBreaker(busy(line));
    const got = await setup.gateway.post(CHAT, bodyFor(CHAT, 'scripted', { stream }));
    expect([got.status, headerOf(got, 'retry-after'), headerOf(got, 'x-flm-engine')]).toEqual([
      Number(line.slice(0, 3)),
      '7',
      'two',
    ]);
    expect(got.body.toString()).toBe('{"error":{"message":"not now"}}');
    await setup.gateway.settled();
    expect(outcomes(setup.gateway.account(requestIdOf(got)))).toBe(account);
  });

  test.each([
    ['before the headers', 5_000, 0],
    ['after the grace', 1, 600],
  ] as const)('an error in a stream, %s', async (_, graceMs, waitMs) => {
    const late: Script = async (request, wire) => {
      if (waitMs > 0) await wire.wait(waitMs);
      return failing(request, wire);
    };
    await using setup = await withOpenBreaker(late, { 'proxy.header_grace_ms': graceMs });
    const got = await setup.gateway.post(CHAT, bodyFor(CHAT, 'scripted', { stream: true }));
    expect([got.status, judge(got)]).toEqual([200, "engine's error"]);
    expect(got.body.toString()).toContain('out of memory');
  });

  test('429, and the queue of the other is full', async () => {
    await using engine = await startScripted(async (_, wire) => {
      await wire.wait(50);
      return busy('429 Too Many Requests')(_, wire);
    });
    await using gateway = await startGateway({ settings: { 'engine.queue_limit': 0 } });
    const stuck = {
      ...ALL_ROUND,
      models: [{ name: 'scripted' }],
      fault: { kind: 'stall-before-headers' },
    } as const;
    const full = await gateway.addFake('openai', stuck, { id: 'full', slots: 1 });
    await gateway.addEngine('openai', engine.url, { id: 'busy', slots: 9 });
    const held = await gateway.start(CHAT, bodyFor(CHAT, 'flm://full/scripted'));
    await until(() => full.busy() === 1);
    const got = await gateway.post(CHAT, bodyFor(CHAT, 'scripted'));
    expect([got.status, headerOf(got, 'retry-after')]).toEqual([429, '7']);
    expect(headerOf(got, 'x-flm-engine')).toBe('busy');
    held.close();
    await full.idle();
  });
});

describe('a response that an engine keeps, or whose tools it runs, is not made twice', () => {
  const answered =
    (status: string): Script =>
    async (_, wire) => {
      await wire.write(whole(status, '{"error":{"message":"no"}}'));
      return 'keep-alive';
    };
  const cut: Script = async (_, wire) => {
    await wire.write(STREAM_HEAD.subarray(0, 20));
    return 'reset';
  };
  const failing = says([event({ type: 'error', error: { message: 'out of memory', code: 500 } })]);
  const answer = [
    event({ type: 'response.output_text.delta', delta: 'from two' }),
    event({ type: 'response.completed', response: { model: 'scripted' } }),
  ];
  const KEPT = { store: true };
  const RUN = {
    tools: [
      { type: 'function', name: 'f' },
      { type: 'mcp', server_url: 'http://x' },
    ],
  };
  const HARMLESS = { store: false, tools: [{ type: 'function', name: 'f' }] };

  const CASES: readonly (readonly [string, Script, fields: object, asked: number])[] = [
    ['it breaks off', cut, KEPT, 1],
    ['it breaks off', cut, RUN, 1],
    ['it breaks off', cut, HARMLESS, 2],
    ['it breaks off', cut, { tools: 'what' }, 1],
    ['its stream ends', says([]), KEPT, 1],
    ['its stream says an error', failing, KEPT, 1],
    ['its stream says an error', failing, HARMLESS, 2],
    ['500', answered('500 No'), KEPT, 1],
    ['500', answered('500 No'), HARMLESS, 2],
    ['429', answered('429 No'), KEPT, 2],
    ['503', answered('503 No'), RUN, 2],
    ['401', answered('401 No'), KEPT, 2],
  ];
  test.each(CASES)('%s: %#', async (_, first, fields, asked) => {
    await using setup = await withScripts({ first, second: says(answer) });
    const body = bodyFor(RESPONSES, 'scripted', { stream: true, ...fields });
    const got = await setup.gateway.post(RESPONSES, body);
    // The same engine is asked again where the connection was a used one.
    expect(new Set(setup.asked).size).toBe(asked);
    expect(judge(got, RESPONSES) === 'end').toBe(asked === 2);
  });

  test('nobody was there: the other one is asked', async () => {
    const gone = await startScripted(cut);
    await using engine = await startScripted(says(answer));
    await using gateway = await startGateway();
    await gateway.addEngine('openai', gone.url, { id: 'gone' });
    await gateway.addEngine('openai', engine.url, { id: 'there' });
    await gone[Symbol.asyncDispose]();
    for (let at = 0; at < 3; at += 1) {
      const got = await gateway.post(RESPONSES, bodyFor(RESPONSES, 'scripted', { stream: true, ...KEPT }));
      expect(judge(got, RESPONSES)).toBe('end');
    }
  });

  test('and on no other route do these words mean anything', async () => {
    await using setup = await withScripts({ first: cut, second: says(WORDS) });
    const got = await setup.gateway.post(
      CHAT,
      '{"model":"scripted","stream":true,"store":true,"store":true}',
    );
    expect(judge(got)).toBe('[DONE]');
  });
});

test('one request is not sent to more than three engines', async () => {
  const gateway = await startGateway();
  await using _ = gateway;
  const asked: string[] = [];
  const engines = await Promise.all(
    ['a', 'b', 'c', 'd', 'e'].map((id) =>
      startScripted(async (__, wire) => {
        asked.push(id);
        const said = `{"error":{"message":"number ${asked.length}"}}`;
        await wire.write(whole('500 Internal Server Error', said));
        return 'keep-alive';
      }),
    ),
  );
  for (const [at, engine] of engines.entries()) {
    await gateway.addEngine('openai', engine.url, { id: `e${at}` });
  }
  const got = await gateway.post(CHAT, bodyFor(CHAT, 'scripted'));
  expect([got.status, asked.length]).toEqual([500, 3]);
  expect(got.body.toString()).toContain('number 3');
  for (const engine of engines) await engine[Symbol.asyncDispose]();
});

test('the client leaves while the second engine works: nobody else is asked', async () => {
  await using pair = await startPair('openai');
  const { gateway } = pair;
  for (const stream of [true, false]) {
    pair.faultNext({ kind: 'status-503' }, { kind: 'stall-before-headers' });
    const client = await gateway.start(CHAT, bodyFor(CHAT, ALL, { stream }));
    await until(() => pair.fakes.some((fake) => fake.busy() === 1));
    await until(() => pair.met().second.busy() === 1);
    expect(gateway.app.open()).toEqual({ exchanges: 1, tickets: 1, leases: 1 });
    client.close();
    await pair.met().second.idle();
    await gateway.settled();
    expect(pair.met().second.aborted()).toBeGreaterThan(0);
    await pair.heal();
  }
  expect(gateway.account().requests.map(({ outcome }) => outcome)).toEqual(['aborted', 'aborted']);
  expect(gateway.account().attempts.map(({ outcome }) => outcome)).toEqual([
    'failed',
    'aborted',
    'failed',
    'aborted',
  ]);
});

test('a 501 is no failure, and another engine may have what it lacks', async () => {
  const gateway = await startGateway();
  await using _ = gateway;
  // A llama.cpp that was not started with --reranking, and one that was.
  await gateway.addFake('llamacpp', { ...ALL_ROUND, reranking: false }, { id: 'without' });
  await gateway.addFake('llamacpp', ALL_ROUND, { id: 'with' });
  const alone = await gateway.post('/v1/rerank', bodyFor('/v1/rerank', `flm://without/${ALL}`));
  expect([alone.status, judge(alone, '/v1/rerank')]).toEqual([501, "engine's error"]);
  await gateway.settled();
  expect(outcomes(gateway.account(requestIdOf(alone)))).toBe('done done');
  for (let at = 0; at < 3; at += 1) {
    const answer = await gateway.post('/v1/rerank', bodyFor('/v1/rerank', ALL));
    expect([answer.status, headerOf(answer, 'x-flm-engine')]).toEqual([200, 'with']);
  }
});

test('whoever answered is named, and only that one', async () => {
  await using setup = await withScripts({
    first: async (_, wire) => {
      await wire.write(whole('503 Service Unavailable', '{"error":{"message":"busy"}}', ['X-Of-First: 1']));
      return 'keep-alive';
    },
    second: async (_, wire) => {
      await wire.write(whole('200 OK', '{"choices":[],"model":"scripted"}'));
      return 'keep-alive';
    },
  });
  const got = await setup.gateway.post(CHAT, bodyFor(CHAT, 'scripted'));
  expect([got.status, headerOf(got, 'x-of-first')]).toEqual([200, null]);
  expect(headerOf(got, 'x-flm-engine')).toBe(setup.asked[1] ?? '');
  expect(asRecord(jsonIn(got.body.toString()))?.model).toBe('scripted');
});
