/** Rows as the admin API shows them, and as files: JSON with one row a line, CSV that no spreadsheet takes for formulas. */
import { csvRow } from '../lib/csv';
import { isRecord, parseJson } from '../lib/json';
import type { AuditRow } from './chain';
import { type AuditEntry, type ExportFormat, SEVERITIES } from './model';

export function viewOf(row: AuditRow): AuditEntry {
  const details = row.detailsJson === null ? null : parseJson(row.detailsJson);
  return {
    seq: row.seq,
    writer: row.writer,
    id: row.id,
    at: isoTime(row.atMs),
    type: row.type,
    // A word of a newer version is no reason to say that it was nothing.
    severity: SEVERITIES.find((known) => known === row.severity) ?? 'high',
    actor: { kind: row.actorKind, id: row.actorId, via: row.via },
    target: row.target,
    ip: ipIn(row.personalJson),
    request_id: row.requestId,
    trace_id: row.traceId,
    details: isRecord(details) ? details : null,
    previous_hash: row.previousHash.toString('hex'),
    hash: row.hash.toString('hex'),
  };
}

/** A time that somebody put into the file by hand may be none; looking at it must not fail for that. */
export function isoTime(ms: number): string {
  return new Date(Math.min(Math.max(ms, 0), 253_402_300_799_999)).toISOString();
}

function ipIn(personalJson: string | null): string | null {
  const personal = personalJson === null ? null : parseJson(personalJson);
  return isRecord(personal) && typeof personal.ip === 'string' ? personal.ip : null;
}

interface FileShape {
  readonly before: string;
  readonly after: string;
  readonly between: string;
  row(entry: AuditEntry): string;
}

const COLUMNS = [
  'seq',
  'at',
  'type',
  'severity',
  'actor_kind',
  'actor_id',
  'via',
  'target',
  'ip',
  'request_id',
  'trace_id',
  'details',
  'writer',
  'id',
  'previous_hash',
  'hash',
] as const;

export const FILES = {
  json: { before: '{"items":[\n', between: ',\n', after: '\n],"next":null}\n', row: JSON.stringify },
  csv: { before: csvRow(COLUMNS), between: '', after: '', row: rowOf },
} as const satisfies Record<ExportFormat, FileShape>;

function rowOf({ actor, details, ...entry }: AuditEntry): string {
  const cells = {
    ...entry,
    actor_kind: actor.kind,
    actor_id: actor.id,
    via: actor.via,
    details: details === null ? null : JSON.stringify(details),
  };
  return csvRow(COLUMNS.map((column) => cells[column]));
}
