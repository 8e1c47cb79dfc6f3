/**
 * What the request log costs: `bun test/bench/request-log.ts [rows]`. Size of a row, questions to a day of a million rows,
 * main-thread time per request, and the longest stall of the event loop while 5,000 rows a second are written.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDayOpener, daySeal } from '../../db/days';
import { createActivity, EVERYTHING } from '../../src/activity';
import { createDayFiles } from '../../src/activity/files';
import { createLedger } from '../../src/activity/ledger';
import { createReader } from '../../src/activity/reader';
import { verify } from '../../src/activity/verify';
import { createBatchBuilder, decodeBatch } from '../../src/activity/wire';
import { createWriter } from '../../src/activity/writer';
import type { ActivityRecord, Candidate } from '../../src/contract';
import { RequestRecord } from '../../src/gateway/record';
import { createBus } from '../../src/lib/bus';
import { systemClock } from '../../src/lib/clock';
import { newId } from '../../src/lib/ids';
import { silentLog } from '../../src/lib/log';
import { factsOf } from '../support/request-facts';

const total = Number(process.argv[2] ?? 1_000_000);
const dir = mkdtempSync(join(tmpdir(), 'flm-bench-log-'));
const seal = daySeal({ bytes: Buffer.from(`raw:${'5'.repeat(64)}`), source: 'the bench' }, dir);
const settings = { retentionDays: 30, maxBytes: 1e12, archive: false };
const record: ActivityRecord = {
  anchor: async () => {},
  record: async () => {},
  anchors: async () => [],
  removals: async () => [],
};

function timed<Result>(name: string, work: () => Result): Result {
  const startMs = performance.now();
  const result = work();
  console.log(`${name.padEnd(58)} ${(performance.now() - startMs).toFixed(1)} ms`);
  return result;
}

async function day(): Promise<void> {
  const files = createDayFiles(join(dir, 'day'), await createDayOpener(seal, systemClock));
  const ledger = createLedger(join(dir, 'ledger.json'), seal.keyBytes);
  const told = { anchor() {}, record() {}, warn: console.warn };
  const writer = createWriter({ files, ledger, clock: systemClock, settings, ...told });
  const startMs = performance.now();
  const commits: number[] = [];
  const builder = createBatchBuilder();
  // 20 keys, 10 models, 3 engines, 500 clients, 2 % errors.
  for (let n = 0; n < total; n += 1_000) {
    for (let i = 0; i < 1_000; i++) {
      const id = n + i;
      const refused = id % 50 === 0;
      const facts = factsOf(id, {
        atMs: 1_760_000_000_000 + Math.floor((id / total) * 40_000_000),
        ip: `10.0.${id % 5}.${(id * 7) % 100}`,
        principalId: `Key000${10 + ((id * 31) % 20)}`,
        model: `llama3.${(id * 13) % 10}:latest`,
        ...(refused
          ? {
              status: id % 100 === 0 ? 404 : 500,
              outcome: 'failed' as const,
              errorCode: 'ENGINE_NETWORK_ERROR',
            }
          : {}),
      });
      builder.add(facts, false);
    }
    const batch = decodeBatch(builder.take(`run:${n}`));
    const beganMs = performance.now();
    writer.write(batch);
    commits.push(performance.now() - beganMs);
  }
  writer.close();
  const seconds = (performance.now() - startMs) / 1_000;
  commits.sort((a, b) => a - b);
  const bytes = statSync(join(dir, 'day', `${files.days()[0]}.db`)).size;
  console.log(
    `${total} rows in ${seconds.toFixed(1)} s, ${(bytes / total).toFixed(1)} bytes each; a commit of 1,000:`,
  );
  console.log(
    `  half ${commits[commits.length >> 1]?.toFixed(1)} ms, longest ${commits.at(-1)?.toFixed(1)} ms`,
  );

  const page = { limit: 100, cursor: null };
  const reader = createReader(files);
  const list = (filter: Partial<typeof EVERYTHING>) => () =>
    reader.list({ filter: { ...EVERYTHING, ...filter }, page, running: [] }).items.length;
  timed('the first page', list({}));
  timed('by key', list({ key: 'Key00017' }));
  timed('by model', list({ model: 'llama3.4:latest' }));
  timed('by engine', list({ engine: 'engine-1' }));
  timed('by client', list({ ip: '10.0.3.28' }));
  timed('by status 404', list({ status: '404' }));
  timed('by status 429, which nothing has', list({ status: '429' }));
  timed('by outcome aborted, which nothing has', list({ outcome: 'aborted' }));
  timed('by key and status 5xx', list({ key: 'Key00010', status: '5xx' }));
  timed('by key and model, which no row has together', list({ key: 'Key00010', model: 'llama3.5:latest' }));
  timed('by an hour in the middle', list({ sinceMs: 1_760_018_000_000, untilMs: 1_760_021_600_000 }));
  timed(
    'by key, an hour in the middle',
    list({ key: 'Key00017', sinceMs: 1_760_018_000_000, untilMs: 1_760_021_600_000 }),
  );
  const first = factsOf(0).requestId;
  timed('by request id, the oldest', list({ requestId: first }));
  timed('stats by model', () =>
    reader.stats({ by: 'model', key: null, model: null, engine: null, sinceMs: null, untilMs: null }),
  );
  reader.close();
  timed('verify', () => console.log(verify({ files, ledger, anchors: [], removals: [] })));
}

/** How late the event loop is while 5,000 requests a second end. */
async function stalls(withLog: boolean, one: (id: string) => void): Promise<void> {
  const late: number[] = [];
  let lastMs = performance.now();
  const beat = setInterval(() => {
    const nowMs = performance.now();
    late.push(nowMs - lastMs - 1);
    lastMs = nowMs;
  }, 1);
  const beganMs = performance.now();
  for (let sent = 0; performance.now() < beganMs + 10_000; ) {
    const due = ((performance.now() - beganMs) / 1_000) * 5_000;
    for (; sent < due; sent++) one(newId());
    await Bun.sleep(1);
  }
  clearInterval(beat);
  late.sort((a, b) => a - b);
  const at = (share: number) => late[Math.floor(late.length * share)]?.toFixed(2);
  console.log(
    `5,000/s ${withLog ? 'with log   ' : 'without log'}  late by half ${at(0.5)}, 99 % ${at(0.99)}, longest ${late.at(-1)?.toFixed(2)} ms`,
  );
}

const CANDIDATE: Candidate = {
  engine: { id: 'ollama-default', kind: 'ollama', baseUrl: 'http://127.0.0.1:11434', origin: 'detected' },
  model: 'llama3.2:latest',
};

async function mainThread(): Promise<void> {
  const bus = createBus();
  const activity = createActivity({ dir: join(dir, 'live'), seal, settings, record, bus, log: silentLog });
  const request = new Request('http://127.0.0.1:8080/v1/chat/completions', { method: 'POST' });
  const usage = { promptTokens: 100, completionTokens: 50, cachedTokens: null, reasoningTokens: null };
  const one = (id: string, withLog: boolean) => {
    const made = new RequestRecord(id, request, '127.0.0.1', systemClock, withLog ? bus : quiet, null);
    made.workBegins('Key00001');
    made.model = 'llama3.2:latest';
    made.asked(CANDIDATE, 0.3);
    made.ended('done', usage, 12.5);
    made.answered(200);
    made.workEnds();
  };
  const quiet = createBus();
  for (const withLog of [false, true, false, true]) {
    const rounds: number[] = [];
    for (let round = 0; round < 200; round++) {
      const ids = Array.from({ length: 100 }, newId);
      const cpu = process.threadCpuUsage();
      for (const id of ids) {
        one(id, withLog);
        await null; // Each request is a turn of its own.
      }
      await Bun.sleep(22); // The batch leaves.
      const { user, system } = process.threadCpuUsage(cpu);
      rounds.push((user + system) / 100);
    }
    rounds.sort((a, b) => a - b);
    console.log(
      `${withLog ? 'record, bus, log' : 'record alone    '}  ${rounds[100]?.toFixed(2)} µs per request (half of the rounds)`,
    );
  }

  for (const withLog of [false, true, false, true]) await stalls(withLog, (id) => one(id, withLog));
  await activity.flush();
  console.log(activity.counters());
  await activity.close();
}

if (process.argv[3] !== 'day') await mainThread();
if (total > 0) await day();
rmSync(dir, { recursive: true, force: true });
