/** The stream benchmark: many streams at once through a fresh process of every row; cost per chunk and per stream. */
import { runLoad } from './load';
import type { StreamResult } from './load-streams';
import { residentBytes } from './proc';
import { dropRow, type Field, type RowName, type Target } from './rows';
import type { Stage } from './stage';
import { type Spread, spreadOf } from './stats';
import { figure, formatTable } from './table';

const MEMORY_EVERY_MS = 250;
const SETTLE_MS = 1000;
const OPENING_LIMIT_MS = 20_000;
/** Streams that warm the code paths up before the idle memory is read. */
const WARM_STREAMS = 20;
const WARM_TOKENS = 20;

/** How many streams, and how fast and long each is. */
export interface StreamShape {
  streams: number;
  tokensPerSecond: number;
  seconds: number;
}

export interface StreamOptions extends StreamShape {
  rounds: number;
  say(text: string): void;
}

/** One run of one row. */
export interface StreamRun {
  row: RowName;
  round: number;
  result: StreamResult;
  idleBytes: number;
  /** Resident memory while all streams were open; null when there is no proxy. */
  loadedBytes: Spread | null;
}

/** Figures of one row over all rounds; null where the row has none. */
export interface StreamFigures {
  row: RowName;
  peak: Spread | null;
  /** In all rounds together, as `failed`. */
  completed: number;
  completedPercent: Spread | null;
  failed: Record<string, number>;
  cpuUs: Spread | null;
  kbPerStream: Spread | null;
  peakKbPerStream: Spread | null;
  gapP99Ms: Spread | null;
  addedGapP99Ms: Spread | null;
  allStartedMs: Spread | null;
}

/** Runs the streams through every row in turn, each time through a process that has served only the warm-up. */
export async function benchStreams(stage: Stage, field: Field, options: StreamOptions): Promise<StreamRun[]> {
  const runs: StreamRun[] = [];
  for (let round = 0; round < options.rounds; round++) {
    for (const row of field.rows) {
      options.say(`streams round ${round + 1}/${options.rounds} ${row.name}`);
      let target: Target | null = null;
      try {
        target = await row.start();
        runs.push({ row: row.name, round, ...(await measure(stage, field, target, options)) });
      } catch (error) {
        dropRow(stage, field, row.name, error);
      } finally {
        await target?.stop();
      }
    }
  }
  return runs;
}

async function measure(stage: Stage, { authorization }: Field, target: Target, options: StreamOptions) {
  const pids = target.pids();
  const base = { kind: 'streams', port: target.port, authorization, pids } as const;
  await runLoad(stage, { ...base, streams: WARM_STREAMS, tokens: WARM_TOKENS, limitMs: OPENING_LIMIT_MS });
  await Bun.sleep(SETTLE_MS);
  const idleBytes = residentBytes(pids);

  const readings: { atMs: number; bytes: number }[] = [];
  const timer = setInterval(() => {
    readings.push({ atMs: performance.timeOrigin + performance.now(), bytes: residentBytes(pids) });
  }, MEMORY_EVERY_MS);
  try {
    const tokens = options.tokensPerSecond * options.seconds;
    const limitMs = options.seconds * 1000 + OPENING_LIMIT_MS;
    const result = await runLoad(stage, { ...base, streams: options.streams, tokens, limitMs });
    const { from, to } = result.windowMs;
    const inWindow = readings.filter(({ atMs }) => atMs >= from && atMs <= to).map(({ bytes }) => bytes);
    return { result, idleBytes, loadedBytes: pids.length === 0 ? null : spreadOf(inWindow) };
  } finally {
    clearInterval(timer);
  }
}

/** Medians and extremes per row; differences against direct are taken within a round. */
export function streamFigures(runs: readonly StreamRun[], streams: number): StreamFigures[] {
  return [...Map.groupBy(runs, (run) => run.row)].map(([row, group]) => {
    const over = (read: (run: StreamRun) => number | null) => spreadOf(group.map(read));
    // By the streams that were open at once: a proxy that queues the rest must not look frugal.
    const perStream = (read: (loaded: Spread) => number) =>
      over(({ loadedBytes: loaded, idleBytes, result }) =>
        loaded === null || result.peak === 0 ? null : (read(loaded) - idleBytes) / 1000 / result.peak,
      );
    return {
      row,
      peak: over(({ result }) => result.peak),
      completed: group.reduce((sum, { result }) => sum + result.completed, 0),
      completedPercent: over(({ result }) => (result.completed / streams) * 100),
      failed: sumFailures(group),
      cpuUs: over(({ result }) => (result.cpuS === 0 ? null : (result.cpuS * 1e6) / result.chunks)),
      kbPerStream: perStream(({ median }) => median),
      peakKbPerStream: perStream(({ max }) => max),
      gapP99Ms: over(({ result }) => result.gapP99Ms),
      addedGapP99Ms: over((run) => {
        const direct = runs.find((other) => other.row === 'direct' && other.round === run.round);
        const [own, least] = [run.result.gapP99Ms, direct?.result.gapP99Ms ?? null];
        return row === 'direct' || own === null || least === null ? null : own - least;
      }),
      allStartedMs: over(({ result }) => result.allStartedMs),
    };
  });
}

function sumFailures(group: readonly StreamRun[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const { result } of group) {
    for (const [why, count] of Object.entries(result.failed)) sum[why] = (sum[why] ?? 0) + count;
  }
  return sum;
}

/** The table of all rows. */
export function streamTable(
  figures: readonly StreamFigures[],
  { streams, tokensPerSecond, seconds }: StreamShape,
): string {
  const title = `streams: ${streams.toLocaleString('en')} at once × ${tokensPerSecond} tokens/s × ${seconds} s, 250 B chunks`;
  const head = [
    '',
    'at once',
    'CPU µs/chunk',
    'kB/stream',
    'peak kB/stream',
    'gap p99 ms',
    'added gap p99',
    'all started ms',
    'completed',
    'failed',
  ];
  const lines = figures.map((line) => [
    line.row,
    figure(line.peak, 0),
    figure(line.cpuUs, 1),
    figure(line.kbPerStream, 1),
    figure(line.peakKbPerStream, 1),
    figure(line.gapP99Ms, 1),
    figure(line.addedGapP99Ms, 1),
    figure(line.allStartedMs, 0),
    line.completed.toLocaleString('en'),
    Object.entries(line.failed)
      .map(([why, count]) => `${count} ${why}`)
      .join(', ') || '0',
  ]);
  return `${title}\n${formatTable(head, lines)}`;
}
