/** What a person reads of the audit log: rows, and what was found; and how times are written. */
import { describe, expect, test } from 'bun:test';
import type { AuditEntry, AuditReport } from '../../../src/audit';
import { localTime } from '../../time';
import { parseTime } from './filter';
import { lineText, reportText, rowsText } from './text';

const AT = '2026-11-23T12:00:00.000Z';

const entry = (more: Partial<AuditEntry> = {}): AuditEntry => ({
  seq: 1,
  writer: 'w',
  id: 'i',
  at: AT,
  type: 'key.created',
  severity: 'medium',
  actor: { kind: 'owner', id: 'owner', via: 'socket' },
  target: 'key:Ab12Cd34',
  ip: null,
  request_id: null,
  trace_id: null,
  details: { label: 'my app', scopes: ['inference', 'metrics'], models: null },
  previous_hash: '00',
  hash: '11',
  ...more,
});

describe('rows', () => {
  test('tell who did what to what, with what there is to say below', () => {
    expect(rowsText([entry(), entry({ target: null, details: null, ip: '192.0.2.1' })])).toBe(
      [
        'TIME              SEVERITY  TYPE         WHO                       TARGET',
        `${localTime(AT)}  medium    key.created  owner (socket)            key:Ab12Cd34`,
        '  label my app, scopes inference metrics',
        `${localTime(AT)}  medium    key.created  owner (socket 192.0.2.1)  -`,
      ].join('\n'),
    );
  });

  test('show nothing that a terminal would obey', () => {
    const evil = entry({ target: 'key:\u001B[2J', details: { label: 'a\nb\u202E' } });
    for (const text of [rowsText([evil]), lineText(evil)])
      for (const control of ['\u001B', '\u202E', 'a\nb']) expect(text).not.toContain(control);
  });

  test('say when there are none', () => {
    expect(rowsText([])).toBe('Nothing is on record.');
  });

  test('as a line hold the same', () => {
    expect(lineText(entry())).toBe(
      `${localTime(AT)}  medium    key.created  owner (socket)  key:Ab12Cd34  label my app, scopes inference metrics`,
    );
  });
});

describe('a report', () => {
  const report = (more: Partial<AuditReport> = {}): AuditReport => ({
    ok: true,
    rows: 5,
    findings: [],
    chains: [{ writer: 'w', rows: 5 }],
    erased: 0,
    checkpoint: null,
    unprotected: { rows: 2, since: AT, last_checkpoint: { seq: 3, at: AT } },
    duration_ms: 1,
    ...more,
  });

  test.each([
    [report(), ['All 5 rows', 'are as they were written', '2 rows', 'row 3', 'verify --checkpoint FILE']],
    [
      report({ unprotected: { rows: 5, since: AT, last_checkpoint: null } }),
      ['no checkpoint yet', 'could write all of it anew', 'checkpoint --output FILE'],
    ],
    [
      report({
        checkpoint: { seq: 5, matches: true },
        unprotected: { rows: 0, since: null, last_checkpoint: { seq: 5, at: AT } },
      }),
      ['Row 5 is the one of the checkpoint.', 'No row is behind the last checkpoint'],
    ],
    [
      report({
        ok: false,
        findings: [{ writer: 'w', seq: 3, problem: 'edited', message: 'Row 3 is not as it was written.' }],
        checkpoint: { seq: 4, matches: false },
      }),
      ['✗ Row 3 is not as it was written.', 'The checkpoint was not confirmed'],
    ],
    [report({ erased: 1 }), ['erased from 1 row, on record']],
  ])('%#', (given, parts) => {
    const text = reportText(given);
    for (const part of parts) expect(text).toContain(part);
    expect(text.includes('as they were written')).toBe(given.ok);
  });
});

describe('a time', () => {
  const NOW = Date.parse(AT);
  test.each([
    ['24h', '2026-11-22T12:00:00.000Z'],
    ['2w', '2026-11-09T12:00:00.000Z'],
    ['2026-11-20T10:00:00Z', '2026-11-20T10:00:00.000Z'],
    ['2026-11-20', new Date('2026-11-20T00:00').toISOString()],
    ['2026-11-20 10:30', new Date('2026-11-20T10:30').toISOString()],
  ])('%s', (text, iso) => {
    expect(parseTime('--since', text, NOW)).toBe(iso);
  });

  test.each(['', 'yesterday', '24x', '2026-13-45'])('refuses %p', (text) => {
    expect(() => parseTime('--since', text, NOW)).toThrow('--since');
  });
});
