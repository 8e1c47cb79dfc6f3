/**
 * Every fault of an engine, streaming and not, behind both adapters: the status and the last frame the client gets,
 * whether the slot is free again, and how Lease and Ticket were closed. Prints the grid.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { LeaseOutcome } from '../../src/contract';
import { FAULTS, type FakeEngine, type Fault, type FaultKind } from '../fake';
import { chat, type Gateway, MODEL, requestIdOf, startGateway } from './support/gateway';
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
const both = (cell: Cell): Row => ({ stream: cell, whole: cell });
const UNREACHED = failed(502, 'error network_error');
const UNUSABLE = failed(502, 'error invalid_response');
const TIMED_OUT: Cell = { ...failed(408, 'error request_timeout'), silent: true };

const GRID = {
  slow: FINE,
  'stall-before-headers': {
    stream: { ...failed(200, 'error streaming_timeout'), silent: true },
    whole: TIMED_OUT,
  },
  'stall-before-first-token': {
    stream: { ...failed(200, 'error streaming_timeout'), silent: true },
    whole: TIMED_OUT,
  },
  'die-before-headers': both(UNREACHED),
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
const NAMED = (Object.keys(GRID) as FaultKind[]).map((kind): Named => [kind, FAULTS[kind], GRID[kind]]);
const CELLS = [...NAMED, ...VARIANTS].flatMap(([name, fault, row]) =>
  (['stream', 'whole'] as const).map((mode) => ({ name, fault, mode, cell: row[mode] })),
);

const printed: string[][] = [['fault', 'engine', 'mode', 'status', 'last frame', 'slot', 'lease', 'ticket']];
afterAll(() => console.log(`\n${table(printed)}\n`));

describe.each(['llamacpp', 'openai'] as const)('%s', (kind) => {
  /** One whose deadlines are short, for silence; one whose deadlines nobody meets. */
  const setups: { gateway: Gateway; fake: FakeEngine }[] = [];
  beforeAll(async () => {
    for (const settings of [
      {},
      {
        'proxy.request_timeout_ms': 300,
        'proxy.stream_timeout_ms': 500,
        'proxy.header_grace_ms': 100,
        'proxy.ping_interval_ms': 100,
      },
    ]) {
      const gateway = await startGateway({ settings });
      setups.push({ gateway, fake: await gateway.addFake(kind) });
    }
  });
  afterAll(async () => {
    for (const { gateway } of setups) await gateway[Symbol.asyncDispose]();
  });

  test.each(CELLS)('$name, $mode', async ({ name, fault, mode, cell }) => {
    const setup = setups[cell.silent ? 1 : 0];
    if (setup === undefined) throw new Error('not set up');
    const { gateway, fake } = setup;
    fake.setFault(fault);
    const answer = await gateway.post(
      '/v1/chat/completions',
      chat(MODEL[kind], { stream: mode === 'stream' }),
    );
    const last = judge(answer);
    await gateway.settled();
    const { attempts, requests } = gateway.account(requestIdOf(answer));
    printed.push([
      name,
      kind,
      mode,
      String(answer.status),
      last,
      fake.busy() === 0 ? 'free' : 'BUSY',
      attempts.map(({ outcome }) => outcome).join('+'),
      requests.map(({ outcome }) => outcome).join('+'),
    ]);
    expect({ status: answer.status, last }).toEqual({ status: cell.status, last: cell.last });
    expect(fake.busy()).toBe(0);
    expect(attempts.map(({ outcome }) => outcome)).toEqual([cell.outcome]);
    expect(requests.map(({ outcome }) => outcome)).toEqual([cell.outcome]);
  });
});

function table(rows: readonly (readonly string[])[]): string {
  const [head = []] = rows;
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) => row.map((text, column) => text.padEnd(widths[column] ?? 0)).join('  '));
  lines.splice(1, 0, widths.map((width) => '─'.repeat(width)).join('  '));
  return lines.map((line) => line.trimEnd()).join('\n');
}
