/** The options that say which rows are meant, for every command that shows some. */
import type { ArgsDef } from 'citty';
import { type AuditFilter, SEVERITIES } from '../../../src/audit';
import { FlmError } from '../../../src/lib/errors';
import type { Cli } from '../../cli';
import { DURATION, parseDuration } from '../../duration';

export const FILTER_ARGS = {
  'event-type': {
    type: 'string',
    valueHint: 'type',
    description: 'Only this type (key.created), or all that begin like it (key).',
  },
  severity: { type: 'enum', options: [...SEVERITIES], description: 'Only this severity.' },
  actor: {
    type: 'string',
    valueHint: 'id',
    description: 'Only what this one did: owner, flm, the id of a key.',
  },
  target: { type: 'string', valueHint: 'target', description: 'Only what was done to this: key:Ab12Cd34.' },
  ip: { type: 'string', valueHint: 'address', description: 'Only what came from this address.' },
  since: {
    type: 'string',
    valueHint: '24h',
    description: 'From this time on: 2026-11-23, 2026-11-23T19:02, or how long ago: 24h, 7d.',
  },
  until: { type: 'string', valueHint: '1h', description: 'Before this time, written in the same way.' },
} as const satisfies ArgsDef;

/** What citty makes of FILTER_ARGS. */
type FilterValues = { readonly [Name in keyof typeof FILTER_ARGS]?: string | undefined };

/** @throws INVALID_INPUT for what is no time */
export function filterFrom(args: FilterValues, cli: Pick<Cli, 'clock'>): AuditFilter {
  const { 'event-type': type, actor, target, ip, since, until } = args;
  const severity = SEVERITIES.find((known) => known === args.severity);
  return {
    ...(type === undefined ? {} : { type }),
    ...(severity === undefined ? {} : { severity }),
    ...(actor === undefined ? {} : { actor }),
    ...(target === undefined ? {} : { target }),
    ...(ip === undefined ? {} : { ip }),
    ...(since === undefined ? {} : { since: parseTime('--since', since, cli.clock.nowMs()) }),
    ...(until === undefined ? {} : { until: parseTime('--until', until, cli.clock.nowMs()) }),
  };
}

/** `24h` ago, or `2026-11-23 19:02` where the person is. @throws INVALID_INPUT */
export function parseTime(option: string, text: string, nowMs: number): string {
  if (/^\d+[smhdw]$/.test(text.trim()))
    return new Date(nowMs - parseDuration(option, text) * 1_000).toISOString();
  // A day alone would be one of Greenwich.
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00`) : Date.parse(text);
  if (!Number.isNaN(ms)) return new Date(ms).toISOString();
  const reason = `"${text}" is no time: it takes 2026-11-23, 2026-11-23T19:02 or ${DURATION}`;
  throw new FlmError('INVALID_INPUT', { meta: { field: option, reason } });
}
