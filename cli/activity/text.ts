/** The request log for people. */
import type { ActivityList, ActivityStats, ActivityVerdict, Erased, RefusalList } from '../../src/activity';
import { table } from '../table';
import { localTime } from '../time';
import { count } from '../words';

export function listText({ items, next }: ActivityList): string {
  const rows = items.map((entry) => ({
    cells: [
      localTime(entry.time),
      entry.api_key_id ?? '-',
      entry.engine_id ?? '-',
      entry.status === null ? '-' : String(entry.status),
      entry.outcome,
      durationText(entry.latency_ms),
      tokensText(entry.prompt_tokens, entry.completion_tokens),
    ],
    below: [entry.endpoint, entry.model, entry.error].filter((part) => part !== null).join('  '),
  }));
  const shown = table(
    ['TIME', 'KEY', 'ENGINE', 'STATUS', 'OUTCOME', 'TOOK', 'TOKENS'],
    rows,
    'No such request is known.',
  );
  return shown + moreText(next);
}

export function refusalsText({ items, next }: RefusalList): string {
  const rows = items.map((entry) => [
    localTime(entry.time),
    entry.source ?? '(erased)',
    String(entry.requests),
    String(entry.status),
    entry.endpoint,
    entry.reason,
  ]);
  return (
    table(['TIME', 'FROM', 'REQUESTS', 'STATUS', 'ENDPOINT', 'WHY'], rows, 'Nobody was refused.') +
    moreText(next)
  );
}

function moreText(next: string | null): string {
  return next === null ? '' : `\nThere are more: --cursor ${next}`;
}

export function statsText({ by, items, total, refused }: ActivityStats): string {
  const lineOf = (name: string, sums: ActivityStats['total']) => [
    name,
    String(sums.requests),
    String(sums.errors),
    String(sums.prompt_tokens),
    String(sums.completion_tokens),
    durationText(sums.p50_ms),
    durationText(sums.p95_ms),
  ];
  const rows = items.map((item) => lineOf(item.name ?? '(none)', item));
  const shown = table(
    [by.toUpperCase(), 'REQUESTS', 'ERRORS', 'TOKENS IN', 'TOKENS OUT', 'HALF WITHIN', '95 % WITHIN'],
    items.length > 1 ? [...rows, lineOf('all', total)] : rows,
    'There were no requests.',
  );
  return refused === 0
    ? shown
    : `${shown}\n${count(refused, 'request')} ${wereOf(refused)} refused before anybody was recognised: flm activity refusals`;
}

export function verdictText(verdict: ActivityVerdict): string {
  const { fault, rows, days, removed_days: removed, unanchored_rows: tail } = verdict;
  const gone =
    removed.length === 0
      ? []
      : [`${count(removed.length, 'day')} ${wereOf(removed.length)} removed, on record.`];
  if (fault !== null) {
    const { message } = fault;
    return [
      `The request log was changed: ${message}.`,
      `${count(rows, 'row')} before that ${rows === 1 ? 'is' : 'are'} sound.`,
      ...gone,
    ].join('\n');
  }
  return [
    `The request log is as FLM wrote it: ${count(rows, 'row')} on ${count(days, 'day')}.`,
    ...gone,
    ...(tail === 0 ? [] : [tailText(tail)]),
  ].join('\n');
}

function tailText(rows: number): string {
  return rows === 1
    ? 'The last row is not anchored yet: cut off, it would not be missed.'
    : `The last ${rows} rows are not anchored yet: cut off, they would not be missed.`;
}

function wereOf(number: number): string {
  return number === 1 ? 'was' : 'were';
}

export function erasedText({ places, days }: Erased): string {
  if (places === 0) return 'The request log does not hold that address.';
  return `Erased on ${count(days, 'day')}. The rows stay, without the address.`;
}

function durationText(ms: number | null): string {
  if (ms === null) return '-';
  return ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

function tokensText(prompt: number | null, completion: number | null): string {
  return prompt === null || completion === null ? '-' : `${prompt} + ${completion}`;
}
