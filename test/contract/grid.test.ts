/**
 * Every fault of an engine, on every route that it speaks, streaming and not, behind every adapter: the status and the
 * last frame the client gets, whether the slot is free again, and how Lease and Ticket were closed. Prints the grid.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { InferenceRoute, LeaseOutcome } from '../../src/contract';
import { FAKE_KINDS, FAULTS, type FakeEngine, type FakeKind, type Fault, type FaultKind } from '../fake';
import { type Gateway, requestIdOf, startGateway } from './support/gateway';
import type { Answer } from './support/raw';
import {
  ALL,
  ALL_ROUND,
  bodyFor,
  COUNT_TOKENS,
  MESSAGES,
  type Mode,
  modesOf,
  RESPONSES,
  SPOKEN,
} from './support/routes';
import { judge, type Verdict } from './support/verdict';

interface Cell {
  readonly status: number;
  readonly last: Verdict;
  readonly outcome: LeaseOutcome;
  /** The fault is silence: only a deadline ends it. */
  readonly silent?: true;
}

interface Row {
  readonly stream: Cell;
  readonly whole: Cell;
}

const DONE: Cell = { status: 200, last: '[DONE]', outcome: 'done' };
const JSON_DONE: Cell = { status: 200, last: "engine's JSON", outcome: 'done' };
const FINE: Row = { stream: DONE, whole: JSON_DONE };
const failed = (status: number, last: Verdict): Cell => ({ status, last, outcome: 'failed' });
/** By FLM's own limits: that says nothing of the engine. */
const cut = (status: number, last: Verdict): Cell => ({ status, last, outcome: 'aborted' });
const both = (cell: Cell): Row => ({ stream: cell, whole: cell });
const UNREACHED = failed(502, 'error network_error');
const UNUSABLE = failed(502, 'error invalid_response');
const TIMED_OUT: Cell = { ...cut(408, 'error request_timeout'), silent: true };

const GRID = {
  slow: FINE,
  'stall-before-headers': {
    stream: { ...cut(200, 'error streaming_timeout'), silent: true },
    whole: TIMED_OUT,
  },
  'stall-before-first-token': {
    stream: { ...cut(200, 'error streaming_timeout'), silent: true },
    whole: TIMED_OUT,
  },
  'die-before-headers': both(UNREACHED),
  // After the first words: what comes before them has not been sent yet (VARIANTS).
  'die-mid-stream': { stream: failed(200, 'error network_error'), whole: UNREACHED },
  'reset-mid-stream': { stream: failed(200, 'error network_error'), whole: UNREACHED },
  'die-mid-frame': { stream: failed(200, 'error network_error'), whole: UNREACHED },
  garbage: both(UNUSABLE),
  // What an engine says inside its frames is the client's to judge.
  'garbage-frames': { stream: DONE, whole: { ...JSON_DONE, last: "engine's bytes" } },
  'half-utf8': FINE,
  'one-byte-chunks': FINE,
  'crlf-frames': FINE,
  'huge-line': FINE,
  'status-429': both({ status: 429, last: "engine's error", outcome: 'done' }),
  'status-500': both(failed(500, "engine's error")),
  'status-503': both(failed(503, "engine's error")),
  'wrong-json': both({ status: 200, last: "engine's bytes", outcome: 'done' }),
  // All events had come, [DONE] included: what is missing is behind the answer's end.
  'wrong-content-length': { stream: DONE, whole: UNREACHED },
  'never-close': { stream: { ...DONE, silent: true }, whole: TIMED_OUT },
  'error-frame': { stream: failed(200, "engine's error"), whole: failed(500, "engine's error") },
  'no-done': { stream: failed(200, 'error invalid_response'), whole: JSON_DONE },
  'close-after-stream': FINE,
  'usage-every-chunk': FINE,
  'no-usage': FINE,
  'bad-headers': FINE,
  redirect: both(UNUSABLE),
} as const satisfies Record<FaultKind, Row>;

/** The same faults with other parameters. */
const VARIANTS: readonly (readonly [name: string, Fault, Row])[] = [
  [
    'die before first event',
    { kind: 'die-mid-stream', afterChunks: 0 },
    { stream: UNREACHED, whole: UNREACHED },
  ],
  [
    'die within first event',
    { kind: 'die-mid-frame', afterChunks: 0 },
    { stream: UNREACHED, whole: UNREACHED },
  ],
  [
    'error-frame after content',
    { kind: 'error-frame', afterChunks: 3 },
    { stream: failed(200, "engine's error"), whole: failed(500, "engine's error") },
  ],
  [
    'silence after some words',
    { kind: 'stall-mid-stream', afterChunks: 6 },
    { stream: { ...cut(200, 'error streaming_timeout'), silent: true }, whole: TIMED_OUT },
  ],
  [
    'wrong-json: a web page',
    { kind: 'wrong-json', form: 'not-json' },
    both({ status: 200, last: "engine's bytes", outcome: 'done' }),
  ],
  [
    'content-length too low',
    { kind: 'wrong-content-length', by: -5 },
    both({ status: 200, last: "engine's bytes", outcome: 'done' }),
  ],
];

type Named = readonly [name: string, Fault, Row];
const NAMED = (Object.keys(GRID) as FaultKind[]).map((kind): Named => [kind, faultNamed(kind), GRID[kind]]);

/** As FAULTS has it, but where an answer breaks off, some words have come on every route. */
function faultNamed(kind: FaultKind): Fault {
  const breaksOff = kind === 'die-mid-stream' || kind === 'reset-mid-stream' || kind === 'die-mid-frame';
  return breaksOff ? { kind, afterChunks: 6 } : FAULTS[kind];
}

/** The same cell on another route: its end and its errors have other names. */
function cellOn(route: InferenceRoute, name: string, mode: Mode, cell: Cell): Cell {
  const native = route === RESPONSES || route.startsWith(MESSAGES);
  // Nothing in garbage is an end there, and no [DONE] comes behind it; nor is half of an end one.
  const lacksEnd = name === 'garbage-frames' || name === 'content-length too low';
  if (native && mode === 'stream' && lacksEnd) return inWordsOf(route, failed(200, 'error invalid_response'));
  return inWordsOf(route, cell);
}

const ANTHROPIC: Readonly<Partial<Record<Verdict, Verdict>>> = {
  'error network_error': 'error api_error',
  'error invalid_response': 'error api_error',
  'error request_timeout': 'error timeout_error',
  'error streaming_timeout': 'error timeout_error',
};

function inWordsOf(route: InferenceRoute, cell: Cell): Cell {
  if (route.startsWith(MESSAGES)) {
    return { ...cell, last: cell.last === '[DONE]' ? 'end' : (ANTHROPIC[cell.last] ?? cell.last) };
  }
  return route === RESPONSES && cell.last === '[DONE]' ? { ...cell, last: 'end' } : cell;
}

const ROWS = [...NAMED, ...VARIANTS];

function cellsOf(kind: FakeKind) {
  return SPOKEN[kind].flatMap((route) =>
    ROWS.flatMap(([name, fault, row]) =>
      modesOf(route).map((mode) => ({
        name,
        fault,
        route,
        mode,
        cell: cellOn(route, name, mode, row[mode]),
      })),
    ),
  );
}

const HEAD = ['engine', 'route', 'mode', 'fault', 'status', 'last frame', 'slot', 'lease', 'ticket'];
const printed: string[][] = [HEAD];
afterAll(() => console.log(`\n${table(printed)}\n`));

describe.each(FAKE_KINDS)('%s', (kind) => {
  const cells = cellsOf(kind);
  let gateway: Gateway;
  let fake: FakeEngine;
  /** One whose deadlines are short, for silence: all its requests wait for their end together. */
  let hasty: Gateway;
  const silent = new Map<object, { readonly fake: FakeEngine; readonly answer: Answer }>();

  beforeAll(async () => {
    gateway = await startGateway();
    fake = await gateway.addFake(kind, ALL_ROUND);
    hasty = await startGateway({
      settings: {
        'proxy.request_timeout_ms': 300,
        'proxy.stream_timeout_ms': 500,
        'proxy.header_grace_ms': 100,
        'proxy.ping_interval_ms': 100,
      },
    });
    const waiting = cells.filter(({ cell }) => cell.silent);
    const engines = new Map<object, FakeEngine>();
    for (const [at, each] of waiting.entries()) {
      engines.set(each, await hasty.addFake(kind, ALL_ROUND, { id: `silent-${at}` }));
    }
    const asked = waiting.map(async (each, at) => {
      const { fault, route, mode } = each;
      const engine = engines.get(each);
      if (engine === undefined) return;
      // Once: whoever looks at the engine afterwards should find it well.
      engine.setFaultOnce(metOn(route, fault));
      const body = bodyFor(route, `flm://silent-${at}/${ALL}`, { stream: mode === 'stream' });
      silent.set(each, { fake: engine, answer: await hasty.post(route, body) });
    });
    await Promise.all(asked);
    await hasty.settled();
  });
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]();
    await hasty[Symbol.asyncDispose]();
  });

  async function ask(each: (typeof cells)[number]) {
    const { fault, route, mode } = each;
    const waited = silent.get(each);
    if (waited !== undefined) return { ...waited, at: hasty };
    fake.setFault(metOn(route, fault));
    const answer = await gateway.post(route, bodyFor(route, ALL, { stream: mode === 'stream' }));
    fake.setFault(null);
    await gateway.settled();
    // Where it met everything, FLM has found the engine out of order.
    if (route === COUNT_TOKENS) await gateway.recovered();
    return { fake, answer, at: gateway };
  }

  test.each(cells.map((each) => [each.route, each.name, each.mode, each] as const))(
    '%s: %s, %s',
    async (route, name, mode, each) => {
      const { cell } = each;
      const { fake: asked, answer, at } = await ask(each);
      const last = judge(answer, route);
      const { attempts, requests } = at.account(requestIdOf(answer));
      const ends = (list: readonly { readonly outcome: string }[]) =>
        list.map(({ outcome }) => outcome).join('+');
      const slot = asked.busy() === 0 ? 'free' : 'BUSY';
      printed.push([
        kind,
        route.slice(3),
        mode,
        name,
        String(answer.status),
        last,
        slot,
        ends(attempts),
        ends(requests),
      ]);
      expect({ status: answer.status, last }).toEqual({ status: cell.status, last: cell.last });
      expect([slot, ends(attempts), ends(requests)]).toEqual(['free', cell.outcome, cell.outcome]);
    },
  );
});

/** Counting tokens takes no slot, so a fault meets it only when it meets everything. */
function metOn(route: InferenceRoute, fault: Fault): Fault {
  return route === COUNT_TOKENS ? { ...fault, on: 'everything' } : fault;
}

function table(rows: readonly (readonly string[])[]): string {
  const [head = []] = rows;
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) => row.map((text, column) => text.padEnd(widths[column] ?? 0)).join('  '));
  lines.splice(1, 0, widths.map((width) => '─'.repeat(width)).join('  '));
  return lines.map((line) => line.trimEnd()).join('\n');
}
