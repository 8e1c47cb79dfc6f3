/** Abuse protection for people. */
import type {
  AddressStanding,
  AnomalyList,
  BanList,
  BanView,
  IntrusionList,
  SecurityStats,
  Unbanned,
} from '../../src/security';
import { table } from '../table';
import { localTime } from '../time';
import { count } from '../words';

export function bansText({ items, next }: BanList): string {
  const rows = items.map((ban) => ({
    cells: [
      ban.ip,
      ban.automatic ? 'FLM' : 'owner',
      localTime(ban.blocked_at),
      untilText(ban),
      String(ban.refused),
    ],
    below: ban.reason,
  }));
  return table(['ADDRESS', 'BY', 'SINCE', 'UNTIL', 'REFUSED'], rows, 'Nobody is banned.') + moreText(next);
}

export function bannedText(ban: BanView): string {
  const end = ban.blocked_until === null ? 'until you lift it' : `until ${localTime(ban.blocked_until)}`;
  return `${ban.ip} is refused ${end}, also with a valid key.`;
}

export function unbannedText({ ip, still_blocked_by: wider }: Unbanned): string {
  return wider === null
    ? `${ip} is not banned any more.`
    : `The ban of ${ip} is lifted, but that of ${wider} still holds for it: flm security ip-blocklist unblock ${wider}`;
}

export function standingText(standing: AddressStanding): string {
  const { blocked } = standing;
  const state =
    blocked !== null
      ? `It is refused ${blocked.blocked_until === null ? 'until you lift it' : `until ${localTime(blocked.blocked_until)}`}${blocked.automatic ? ', unless it shows a valid key' : ''}: ${blocked.reason}.`
      : 'It is not banned.';
  return [
    standing.ip,
    state,
    ...(standing.allowed ? [] : ['It is not on the list of those that may use FLM (ip_whitelist).']),
    ...(standing.never_blocked ? ['It is never banned.'] : []),
    `Failed authentications: ${standing.failure_count}. Intrusion score: ${standing.intrusion_score}. Anomaly score: ${standing.anomaly_score}.`,
    ...(standing.previous_blocks === 0 ? [] : [`Banned ${count(standing.previous_blocks, 'time')} so far.`]),
  ].join('\n');
}

export function intrusionsText({ items, next }: IntrusionList): string {
  const rows = items.map((row) => ({
    cells: [localTime(row.created_at), row.ip, row.pattern, `+${row.score}`, String(Math.round(row.total))],
    below: [row.method, row.request_path, repeatedText(row.repeated)]
      .filter((part) => part !== null)
      .join(' '),
  }));
  return (
    table(['TIME', 'FROM', 'WHAT', 'SCORE', 'IN ALL'], rows, 'Nobody has tried to find a way in.') +
    moreText(next)
  );
}

export function anomaliesText({ items, next }: AnomalyList): string {
  const rows = items.map((row) => [
    localTime(row.created_at),
    row.ip,
    row.anomaly_type,
    `+${row.score}`,
    String(Math.round(row.total)),
  ]);
  return (
    table(['TIME', 'FROM', 'WHAT', 'SCORE', 'IN ALL'], rows, 'Nothing unusual was seen.') + moreText(next)
  );
}

export function statsText(stats: SecurityStats): string {
  const { blocked_ips: blocked, last_24h: lately } = stats;
  const features = Object.entries(stats.features).map(([name, state]) => [name, STATES[state]]);
  const patterns = lately.patterns.map(({ pattern, kind, events, last_at: lastAt }) => [
    pattern,
    kind,
    String(events),
    localTime(lastAt),
  ]);
  return [
    table(['PROTECTION', 'STATE'], features, ''),
    '',
    `Banned: ${blocked.automatic} by FLM, ${blocked.by_owner} by you; ${blocked.permanent} without an end.`,
    `Strangers remembered: ${stats.addresses}. Answers kept back now: ${stats.held}.`,
    ...(stats.scarce === null
      ? []
      : [`Nothing new is taken now: the machine is at its limit (${stats.scarce}).`]),
    '',
    table(['LAST 24 HOURS', 'KIND', 'EVENTS', 'LAST'], patterns, 'Nothing was seen in the last 24 hours.'),
  ].join('\n');
}

const STATES = {
  on: 'on (policy)',
  off: 'off (policy)',
  'automatic-on': 'on, since others can reach a listener',
  'automatic-off': 'off, since nobody else can reach a listener',
} as const;

function untilText({ blocked_until: until }: BanView): string {
  return until === null ? 'lifted by hand' : localTime(until);
}

function repeatedText(repeated: number): string | null {
  return repeated === 0 ? null : `(and ${repeated} more)`;
}

function moreText(next: string | null): string {
  return next === null ? '' : `\nThere are more: --cursor ${next}`;
}
