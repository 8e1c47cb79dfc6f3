/** Rows of the audit chain and what an examination of it found, as a person reads them. */
import type { AuditEntry, AuditReport } from '../../../src/audit';
import { printable, table } from '../../table';
import { localTime } from '../../time';
import { count } from '../../words';

export function rowsText(items: readonly AuditEntry[]): string {
  const rows = items.map((entry) => ({
    cells: [localTime(entry.at), entry.severity, entry.type, whoText(entry), entry.target ?? '-'],
    below: entry.details === null ? null : detailsText(entry.details),
  }));
  return table(['TIME', 'SEVERITY', 'TYPE', 'WHO', 'TARGET'], rows, 'Nothing is on record.');
}

/** One row as one line. */
export function lineText(entry: AuditEntry): string {
  const { at, severity, type, target, details } = entry;
  const parts = [
    localTime(at),
    severity.padEnd(8),
    type,
    whoText(entry),
    ...(target === null ? [] : [target]),
    ...(details === null ? [] : [detailsText(details)]),
  ];
  return printable(parts.join('  '));
}

function whoText({ actor: { id, via }, ip }: AuditEntry): string {
  return ip === null ? `${id} (${via})` : `${id} (${via} ${ip})`;
}

/** `label my-app, scopes inference`: what has no value is left out. */
function detailsText(details: Readonly<Record<string, unknown>>): string {
  return Object.entries(details)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name.replaceAll('_', ' ')} ${valueText(value)}`)
    .join(', ');
}

function valueText(value: unknown): string {
  if (typeof value === 'string') return value;
  return Array.isArray(value) ? value.map(valueText).join(' ') : JSON.stringify(value);
}

export function reportText(report: AuditReport): string {
  const { ok, findings, rows, erased, checkpoint } = report;
  const lines = ok
    ? [`All ${count(rows, 'row')} of the audit log are as they were written.`]
    : findings.map(({ message }) => `✗ ${printable(message)}`);
  if (erased > 0) lines.push(`Personal data were erased from ${count(erased, 'row')}, on record.`);
  if (checkpoint !== null)
    lines.push(
      checkpoint.matches
        ? `Row ${checkpoint.seq} is the one of the checkpoint.`
        : 'The checkpoint was not confirmed: what is on record now is not what was on record then.',
    );
  return [...lines, '', tailText(report)].join('\n');
}

function tailText({ unprotected: { rows, since, last_checkpoint: last }, checkpoint }: AuditReport): string {
  const make = 'Make one and keep it elsewhere: flm security audit-logs checkpoint --output FILE';
  if (last === null)
    return `There is no checkpoint yet: whoever holds the keys of this installation could write all of it anew. ${make}`;
  const compare =
    checkpoint === null
      ? ' Compare with the one you kept: flm security audit-logs verify --checkpoint FILE'
      : '';
  const behind = `behind the last checkpoint, which is of row ${last.seq}`;
  if (rows === 0) return `No row is ${behind}.${compare}`;
  const when = since === null ? '' : `, since ${localTime(since)}`;
  const verb = rows === 1 ? 'is' : 'are';
  return `${count(rows, 'row')}${when}, ${verb} ${behind}: only a newer checkpoint protects ${rows === 1 ? 'it' : 'them'}.${compare}`;
}
