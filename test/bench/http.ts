/** The request benchmark: interleaved closed-loop runs of every row, and what they cost against direct and ceiling. */
import { runLoad } from './load';
import type { HttpResult } from './load-http';
import { residentBytes } from './proc';
import { dropRow, type Field, type RowName, type Target } from './rows';
import type { Stage } from './stage';
import { type Spread, spreadOf } from './stats';
import { figure, formatTable } from './table';

const CONNECTIONS = [1, 32] as const;

export interface HttpOptions {
  rounds: number;
  warmupMs: number;
  durationMs: number;
  say(text: string): void;
}

/** One run of one row. */
export interface HttpRun {
  row: RowName;
  connections: number;
  round: number;
  result: HttpResult;
  rssBytes: number;
}

/** Figures of one row over all rounds; null where the row has none (direct is no proxy). */
export interface HttpFigures {
  row: RowName;
  connections: number;
  requestsPerS: Spread | null;
  cpuUs: Spread | null;
  p50Ms: Spread | null;
  p99Ms: Spread | null;
  addedP50Ms: Spread | null;
  addedP99Ms: Spread | null;
  rssMb: Spread | null;
  /** Processor time per request against the ceiling's in the same round. */
  cpuRatio: Spread | null;
  /** In all rounds together. */
  failed: number;
}

/** Runs direct, nginx, ceiling, flm, direct, … at each number of connections. */
export async function benchHttp(stage: Stage, field: Field, options: HttpOptions): Promise<HttpRun[]> {
  const runs: HttpRun[] = [];
  const targets = await startAll(stage, field);
  for (let round = 0; round < options.rounds; round++) {
    for (const connections of CONNECTIONS) {
      for (const [row, target] of targets) {
        options.say(`http round ${round + 1}/${options.rounds} c=${connections} ${row}`);
        try {
          runs.push({
            row,
            round,
            connections,
            ...(await measure(stage, field, target, connections, options)),
          });
        } catch (error) {
          targets.delete(row);
          dropRow(stage, field, row, error);
          await target.stop();
        }
      }
    }
  }
  for (const target of targets.values()) await target.stop();
  return runs;
}

async function startAll(stage: Stage, field: Field): Promise<Map<RowName, Target>> {
  const targets = new Map<RowName, Target>();
  for (const row of field.rows) {
    try {
      targets.set(row.name, await row.start());
    } catch (error) {
      dropRow(stage, field, row.name, error);
    }
  }
  return targets;
}

async function measure(
  stage: Stage,
  field: Field,
  target: Target,
  connections: number,
  options: HttpOptions,
) {
  const { authorization } = field;
  const { warmupMs, durationMs } = options;
  const pids = target.pids();
  const load = {
    kind: 'http',
    port: target.port,
    authorization,
    connections,
    warmupMs,
    durationMs,
    pids,
  } as const;
  const result = await runLoad(stage, load);
  return { result, rssBytes: residentBytes(pids) };
}

/** Medians and extremes per row and number of connections; differences and ratios are taken within a round. */
export function httpFigures(runs: readonly HttpRun[]): HttpFigures[] {
  const groups = Map.groupBy(runs, (run) => `${run.connections} ${run.row}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first === undefined ? [] : [figuresOf(first, group, runs)];
  });
}

function figuresOf({ row, connections }: HttpRun, group: HttpRun[], runs: readonly HttpRun[]): HttpFigures {
  const peer = (run: HttpRun, name: RowName): HttpRun | null =>
    runs.find(
      (other) => other.row === name && other.round === run.round && other.connections === connections,
    ) ?? null;
  const over = (read: (run: HttpRun) => number | null) => spreadOf(group.map(read));
  const added = (read: (result: HttpResult) => number | null) =>
    over((run) => {
      const direct = peer(run, 'direct');
      const [own, least] = [read(run.result), direct === null ? null : read(direct.result)];
      return row === 'direct' || own === null || least === null ? null : own - least;
    });
  return {
    row,
    connections,
    requestsPerS: over((run) => run.result.requests / run.result.seconds),
    cpuUs: over(cpuUsOf),
    p50Ms: over((run) => run.result.p50Ms),
    p99Ms: over((run) => run.result.p99Ms),
    addedP50Ms: added((result) => result.p50Ms),
    addedP99Ms: added((result) => result.p99Ms),
    rssMb: over((run) => (run.rssBytes === 0 ? null : run.rssBytes / 1e6)),
    cpuRatio: over((run) => {
      const ceiling = peer(run, 'ceiling');
      const [own, least] = [cpuUsOf(run), ceiling === null ? null : cpuUsOf(ceiling)];
      return own === null || least === null ? null : own / least;
    }),
    failed: group.reduce((sum, run) => sum + Object.values(run.result.failed).reduce((a, b) => a + b, 0), 0),
  };
}

function cpuUsOf({ result }: HttpRun): number | null {
  return result.cpuS === 0 || result.requests === 0 ? null : (result.cpuS * 1e6) / result.requests;
}

/** The tables, one per number of connections. */
export function httpTables(figures: readonly HttpFigures[]): string {
  return CONNECTIONS.map((connections) => {
    const title = `http, c=${connections}: 2 kB chat request, 430 B answer`;
    const head = [
      '',
      'requests/s',
      'CPU µs',
      '× ceiling',
      'p50 ms',
      'p99 ms',
      'added p50',
      'added p99',
      'RSS MB',
      'failed',
    ];
    const lines = figures
      .filter((line) => line.connections === connections)
      .map((line) => [
        line.row,
        figure(line.requestsPerS, 0),
        figure(line.cpuUs, 1),
        figure(line.cpuRatio, 2),
        figure(line.p50Ms, 3),
        figure(line.p99Ms, 3),
        figure(line.addedP50Ms, 3),
        figure(line.addedP99Ms, 3),
        figure(line.rssMb, 0),
        String(line.failed),
      ]);
    return `${title}\n${formatTable(head, lines)}`;
  }).join('\n\n');
}
