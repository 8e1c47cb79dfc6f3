/** Each fault does on the wire what its name says, streamed and not; read with a raw socket. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readEvents } from './golden';
import { FAKE_KINDS, FAULTS, type FakeEngine, type Fault, type FaultKind, startFake } from './index';
import { findHeader } from './message';
import { asLocal, buildRequest, type Ending, exchange, type RawAnswer } from './raw-client';

interface Row {
  readonly status: number;
  /** Not the connection's own end (which differs by engine): said only where the fault decides it. */
  readonly ending: Ending | 'any';
  readonly complete: boolean;
  /** How the fake counts it. */
  readonly counted: 'served' | 'broken' | 'aborted';
  readonly check?: (answer: RawAnswer) => void;
}

const WHOLE: Row = { status: 200, ending: 'any', complete: true, counted: 'served' };
const STALLED: Row = { status: 0, ending: 'timeout', complete: false, counted: 'aborted' };
const CUT: Row = { status: 200, ending: 'fin', complete: false, counted: 'broken' };

const parses = (answer: RawAnswer): void => {
  expect(JSON.parse(answer.body.toString()).choices[0].message.content).not.toBe('');
};
const fails = (answer: RawAnswer): void => {
  expect(() => JSON.parse(answer.body.toString())).toThrow();
};
const speaks = (answer: RawAnswer): void => {
  expect(jsonEvents(answer).some((event) => event.choices[0]?.finish_reason === 'stop')).toBe(true);
  expect(lastEvent(answer)).toBe('[DONE]');
};
const isError = (answer: RawAnswer): void => {
  expect(JSON.parse(answer.body.toString()).error.message).not.toBe('');
};

const GRID: Record<FaultKind, { readonly stream: Row; readonly whole: Row }> = {
  slow: { stream: { ...WHOLE, check: speaks }, whole: { ...WHOLE, check: parses } },
  'stall-before-headers': { stream: STALLED, whole: STALLED },
  'stall-before-first-token': {
    stream: { ...STALLED, status: 200, check: hasNoBody },
    whole: { ...STALLED, status: 200, check: hasNoBody },
  },
  'die-before-headers': both({ status: 0, ending: 'reset', complete: false, counted: 'broken' }),
  'die-mid-stream': {
    stream: { ...CUT, check: (answer) => expect(answer.body.toString()).toEndWith('}\n\n') },
    whole: { ...CUT, check: fails },
  },
  'reset-mid-stream': {
    stream: { ...CUT, ending: 'reset', check: (answer) => expect(answer.chunks).toHaveLength(2) },
    whole: { ...CUT, ending: 'reset', check: fails },
  },
  'die-mid-frame': {
    stream: {
      ...CUT,
      check: (answer) => {
        expect(answer.chunks).toHaveLength(2);
        // A chunk was announced, its data line begun and never ended.
        expect(answer.wire.toString()).toMatch(/[0-9a-f]+\r\ndata: \{"[^\n]*$/);
      },
    },
    whole: { ...CUT, check: fails },
  },
  garbage: both({ status: 0, ending: 'fin', complete: false, counted: 'broken' }),
  'garbage-frames': {
    stream: {
      ...WHOLE,
      check: (answer) => {
        const events = readEvents(answer.body).slice(0, -1);
        expect(events.length).toBeGreaterThan(3);
        for (const event of events) expect(() => JSON.parse(event)).toThrow();
        expect(lastEvent(answer)).toBe('[DONE]');
      },
    },
    whole: { ...WHOLE, check: fails },
  },
  'half-utf8': {
    stream: {
      ...WHOLE,
      check: (answer) => {
        speaks(answer);
        for (const chunk of (answer.chunks ?? []).slice(0, -1)) expect(isUtf8(chunk)).toBe(false);
        expect(answer.chunks?.length).toBeGreaterThan(15);
        expect(answer.body.toString()).toContain('日本語');
      },
    },
    whole: { ...WHOLE, check: parses },
  },
  'one-byte-chunks': {
    stream: { ...WHOLE, check: all(speaks, hasOneByteChunks) },
    whole: { ...WHOLE, check: all(parses, hasOneByteChunks) },
  },
  'crlf-frames': {
    stream: {
      ...WHOLE,
      check: (answer) => {
        speaks(answer);
        expect(answer.body.toString().replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
        expect(answer.body.toString()).toEndWith('data: [DONE]\r\n\r\n');
      },
    },
    whole: { ...WHOLE, check: parses },
  },
  'huge-line': {
    stream: {
      ...WHOLE,
      check: (answer) => {
        speaks(answer);
        expect(Math.max(...readEvents(answer.body).map((event) => event.length))).toBeGreaterThan(2 ** 20);
      },
    },
    whole: { ...WHOLE, check: parses },
  },
  'status-429': both({
    ...WHOLE,
    status: 429,
    check: (answer) => {
      isError(answer);
      expect(findHeader(answer.headers, 'retry-after')).toBe('7');
    },
  }),
  'status-500': both({ ...WHOLE, status: 500, check: isError }),
  'status-503': both({ ...WHOLE, status: 503, check: isError }),
  'wrong-json': both({
    ...WHOLE,
    check: (answer) => {
      fails(answer);
      expect(findHeader(answer.headers, 'content-type')).toBe('application/json');
    },
  }),
  'wrong-content-length': both({
    ...CUT,
    check: (answer) => {
      expect(Number(findHeader(answer.headers, 'content-length'))).toBe(answer.body.length + 10);
    },
  }),
  'never-close': {
    stream: { ...STALLED, status: 200, check: speaks },
    whole: { ...STALLED, status: 200, check: parses },
  },
  'error-frame': {
    stream: {
      ...WHOLE,
      check: (answer) => {
        const [error, ...rest] = readEvents(answer.body);
        expect(JSON.parse(error ?? '').error.message).not.toBe('');
        expect(rest).toEqual(['[DONE]']);
      },
    },
    whole: { ...WHOLE, status: 500, check: isError },
  },
  'no-done': {
    stream: {
      ...WHOLE,
      check: (answer) => {
        expect(answer.body.toString()).not.toContain('[DONE]');
        for (const event of jsonEvents(answer)) expect(event.choices[0]?.finish_reason).toBeNull();
      },
    },
    whole: { ...WHOLE, check: parses },
  },
  'close-after-stream': {
    stream: { ...WHOLE, ending: 'fin', check: speaks },
    whole: { ...WHOLE, ending: 'open', check: parses },
  },
  'usage-every-chunk': {
    stream: {
      ...WHOLE,
      check: (answer) => {
        speaks(answer);
        const counts = jsonEvents(answer).flatMap(({ usage }) => (usage ? [usage.completion_tokens] : []));
        expect(counts).toEqual([...counts].sort((a, b) => a - b));
        expect(new Set(counts).size).toBeGreaterThanOrEqual(8);
      },
    },
    whole: { ...WHOLE, check: parses },
  },
  'no-usage': {
    stream: { ...WHOLE, check: all(speaks, hasNoUsage) },
    whole: { ...WHOLE, check: all(parses, hasNoUsage) },
  },
  'bad-headers': {
    stream: {
      ...WHOLE,
      check: (answer) => {
        hasBadHeaders(answer);
        expect(answer.wire.toString()).toEndWith('\r\n0\r\nX-Checksum: not-for-you\r\n\r\n');
      },
    },
    whole: { ...WHOLE, check: hasBadHeaders },
  },
  redirect: both({
    ...WHOLE,
    status: 302,
    check: (answer) => expect(findHeader(answer.headers, 'location')).toBe(FAULTS.redirect.location),
  }),
};

describe.each(FAKE_KINDS)('%s', (kind) => {
  let engine: FakeEngine;
  beforeAll(async () => {
    engine = await startFake(kind, { models: ['m'] });
  });
  afterAll(() => engine.close());

  const cells = (Object.keys(GRID) as FaultKind[]).flatMap((name) =>
    (['stream', 'whole'] as const).map((mode) => [name, mode] as const),
  );
  test.each(cells)('%s, %s', async (name, mode) => {
    const row = GRID[name][mode];
    const before = { served: engine.served(), broken: engine.broken(), aborted: engine.aborted() };
    engine.setFault(name === 'slow' ? { kind: 'slow', delayMs: 20 } : FAULTS[name]);
    const started = performance.now();
    const answer = await ask(mode === 'stream', row.ending);
    if (name === 'slow') expect(performance.now() - started).toBeGreaterThanOrEqual(19);
    expect({ status: answer.status, complete: answer.complete }).toEqual({
      status: row.status,
      complete: row.complete,
    });
    if (row.ending !== 'any') expect(answer.ending).toBe(row.ending);
    row.check?.(answer);
    await engine.idle();
    expect(engine[row.counted]() - before[row.counted]).toBe(1);
    expect(engine.served() + engine.broken() + engine.aborted()).toBe(
      before.served + before.broken + before.aborted + 1,
    );
  });

  const variants: [string, Fault, (answer: RawAnswer) => void][] = [
    [
      'a stream may die before its first chunk',
      { kind: 'die-mid-stream', afterChunks: 0 },
      (answer) => expect([answer.status, answer.chunks]).toEqual([200, []]),
    ],
    [
      'a stream may fall silent after content',
      { kind: 'stall-mid-stream' },
      (answer) => expect([answer.ending, answer.chunks?.length]).toEqual(['timeout', 2]),
    ],
    [
      'an error frame may come after content',
      { kind: 'error-frame', afterChunks: 3 },
      (answer) => expect(Object.keys(JSON.parse(readEvents(answer.body).at(-2) ?? ''))).toEqual(['error']),
    ],
    [
      'a length may be too low, so that bytes are left over on the connection',
      { kind: 'wrong-content-length', by: -5 },
      (answer) =>
        expect([answer.complete, answer.wire.toString().endsWith('data: [DONE]\n\n')]).toEqual([true, true]),
    ],
    [
      'a web page may come instead of JSON',
      { kind: 'wrong-json', form: 'not-json' },
      (answer) => expect(answer.body.toString()).toStartWith('<!doctype html>'),
    ],
  ];
  test.each(variants)('%s', async (_, fault, check) => {
    engine.setFault(fault);
    check(await ask(true, fault.kind === 'stall-mid-stream' ? 'timeout' : 'any'));
  });

  function ask(stream: boolean, ending: Row['ending']): Promise<RawAnswer> {
    const usage = stream ? { stream_options: { include_usage: true } } : {};
    const messages = [{ role: 'user', content: 'What is the capital of France?' }];
    const request = buildRequest('POST', '/v1/chat/completions', { model: 'm', messages, stream, ...usage });

    // An end that is expected is waited for; silence is what costs time.
    const watchMs = { fin: 2000, reset: 2000, open: 10, timeout: 0, any: 0 }[ending];
    return exchange(engine.url, asLocal(request), { watchMs, timeoutMs: ending === 'timeout' ? 120 : 5000 });
  }
});

interface ChatChunk {
  readonly choices: readonly { readonly finish_reason: string | null }[];
  readonly usage?: { readonly completion_tokens: number };
}

function all(...checks: ((answer: RawAnswer) => void)[]): (answer: RawAnswer) => void {
  return (answer) => {
    for (const check of checks) check(answer);
  };
}

function both(row: Row): { stream: Row; whole: Row } {
  return { stream: row, whole: row };
}

function jsonEvents(answer: RawAnswer): ChatChunk[] {
  const events = readEvents(answer.body).filter((event) => event !== '[DONE]');
  return events.map((event) => JSON.parse(event) as ChatChunk);
}

function lastEvent(answer: RawAnswer): string | undefined {
  return readEvents(answer.body).at(-1);
}

function hasNoBody(answer: RawAnswer): void {
  expect(answer.body).toHaveLength(0);
}

function hasNoUsage(answer: RawAnswer): void {
  expect(answer.body.toString()).not.toMatch(/"(usage|timings)"/);
}

function hasOneByteChunks(answer: RawAnswer): void {
  expect(new Set(answer.chunks?.map((chunk) => chunk.length))).toEqual(new Set([1]));
}

function hasBadHeaders(answer: RawAnswer): void {
  expect(findHeader(answer.headers, 'connection')).toBe('x-foo');
  expect(findHeader(answer.headers, 'trailer')).toBe('X-Checksum');
  expect(answer.headers.filter(([name]) => name === 'Set-Cookie')).toHaveLength(2);
}

function isUtf8(bytes: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
