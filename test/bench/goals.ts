/** The goals of the issue held against what was seen, with the ceiling's figure as the reference. */
import type { HttpFigures } from './http';
import { type Spread, spreadOf } from './stats';
import type { StreamFigures } from './streams';
import { figure, formatTable } from './table';

/** One goal; `atLeast` goals are met from the limit upwards, all others up to it. */
export interface Goal {
  name: string;
  limit: number;
  unit: string;
  digits: number;
  atLeast?: true;
  seen: Spread | null;
  /** What the ceiling has, where that means something. */
  reference: Spread | null;
}

/** The goals that the request benchmark answers. */
export function httpGoals(figures: readonly HttpFigures[]): Goal[] {
  const find = (row: string, connections: number) =>
    figures.find((line) => line.row === row && line.connections === connections);
  const failures = (row: string) => {
    const lines = figures.filter((line) => line.row === row);
    return spreadOf(lines.length === 0 ? [] : [lines.reduce((sum, line) => sum + line.failed, 0)]);
  };
  const ratio = (connections: number): Goal => ({
    name: `CPU per request against the ceiling, c=${connections}`,
    limit: 1.5,
    unit: '×',
    digits: 2,
    seen: find('flm', connections)?.cpuRatio ?? null,
    reference: find('ceiling', connections)?.cpuRatio ?? null,
  });
  return [
    ratio(1),
    ratio(32),
    {
      name: 'added p50, c=1',
      limit: 0.15,
      unit: 'ms',
      digits: 3,
      seen: find('flm', 1)?.addedP50Ms ?? null,
      reference: find('ceiling', 1)?.addedP50Ms ?? null,
    },
    {
      name: 'requests that failed',
      limit: 0,
      unit: '',
      digits: 0,
      seen: failures('flm'),
      reference: failures('ceiling'),
    },
  ];
}

/** The goals that the stream benchmark answers. */
export function streamGoals(figures: readonly StreamFigures[], streams: number): Goal[] {
  const flm = figures.find((line) => line.row === 'flm');
  const ceiling = figures.find((line) => line.row === 'ceiling');
  const goal = (
    name: string,
    limit: number,
    unit: string,
    read: (line: StreamFigures) => Spread | null,
  ): Goal => ({
    name,
    limit,
    unit,
    digits: 1,
    seen: flm === undefined ? null : read(flm),
    reference: ceiling === undefined ? null : read(ceiling),
  });
  return [
    goal('CPU per chunk', 40, 'µs', (line) => line.cpuUs),
    goal('memory per stream', 45, 'kB', (line) => line.kbPerStream),
    { ...goal('streams at once', streams, '', (line) => line.peak), digits: 0, atLeast: true },
    { ...goal('streams completed', 100, '%', (line) => line.completedPercent), atLeast: true },
  ];
}

/** "ok", "over" (or "under"), or "-" when nothing was seen. */
export function verdictOf({ seen, limit, atLeast }: Goal): string {
  if (seen === null) return '-';
  if (atLeast) return seen.median >= limit ? 'ok' : 'under';
  return seen.median <= limit ? 'ok' : 'over';
}

/** A table of goals: limit, FLM's figure, verdict, the ceiling's figure. */
export function goalTable(goals: readonly Goal[]): string {
  const lines = goals.map((goal) => [
    goal.name,
    `${goal.atLeast ? '≥' : '≤'} ${goal.limit.toLocaleString('en')} ${goal.unit}`.trim(),
    figure(goal.seen, goal.digits),
    verdictOf(goal),
    figure(goal.reference, goal.digits),
  ]);
  return formatTable(['', 'goal', 'flm', '', 'ceiling'], lines);
}
