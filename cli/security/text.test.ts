/** What the owner reads of abuse protection. */
import { describe, expect, test } from 'bun:test';
import type { AddressStanding, BanView, SecurityStats } from '../../src/security';
import {
  anomaliesText,
  bannedText,
  bansText,
  intrusionsText,
  standingText,
  statsText,
  unbannedText,
} from './text';

const BAN: BanView = {
  ip: '203.0.113.7',
  automatic: true,
  reason: '5 failed authentications',
  blocked_at: '2026-11-24T10:00:00.000Z',
  blocked_until: null,
  permanent_block: true,
  blocked_by: 'flm',
  failure_count: 5,
  first_failure_at: null,
  refused: 3,
  last_attempt: null,
};
const STANDING: AddressStanding = {
  ip: '203.0.113.7',
  blocked: null,
  never_blocked: false,
  allowed: true,
  failure_count: 0,
  first_failure_at: null,
  intrusion_score: 0,
  anomaly_score: 0,
  previous_blocks: 0,
};

describe('bans', () => {
  test('say who, by whom, until when and why', () => {
    const text = bansText({ items: [BAN], next: null });
    expect(text).toMatch(
      /^ADDRESS +BY +SINCE +UNTIL +REFUSED\n203\.0\.113\.7 +FLM +.+ +lifted by hand +3\n {2}5 failed/,
    );
    expect(bansText({ items: [], next: null })).toBe('Nobody is banned.');
    expect(bansText({ items: [BAN], next: 'c' })).toEndWith('There are more: --cursor c');
  });

  test('show nothing of a reason that could turn the terminal around', () => {
    expect(bansText({ items: [{ ...BAN, reason: 'a\u001b[2Jb' }], next: null })).not.toContain('\u001b');
  });

  test('one that was made says that keys do not help', () => {
    expect(bannedText(BAN)).toBe('203.0.113.7 is refused until you lift it, also with a valid key.');
  });
});

describe('a standing', () => {
  test('of somebody who did nothing', () => {
    expect(standingText(STANDING).split('\n')).toEqual([
      '203.0.113.7',
      'It is not banned.',
      'Failed authentications: 0. Intrusion score: 0. Anomaly score: 0.',
    ]);
  });

  test('of somebody who is banned by itself, for the second time', () => {
    const lines = standingText({ ...STANDING, blocked: BAN, previous_blocks: 2 }).split('\n');
    expect(lines[1]).toBe(
      'It is refused until you lift it, unless it shows a valid key: 5 failed authentications.',
    );
    expect(lines.at(-1)).toBe('Banned 2 times so far.');
  });
});

test('intrusions and anomalies show what strangers sent without its control characters', () => {
  const text = intrusionsText({
    items: [
      {
        id: 1,
        ip: '203.0.113.7',
        pattern: 'honeypot_access',
        score: 10,
        total: 30,
        request_path: '/.env\u001b[31m',
        user_agent: null,
        method: 'GET',
        request_id: null,
        repeated: 4,
        created_at: '2026-11-24T10:00:00.000Z',
      },
    ],
    next: null,
  });
  expect(text).toContain('(and 4 more)');
  expect(text).not.toContain('\u001b');
  expect(anomaliesText({ items: [], next: null })).toBe('Nothing unusual was seen.');
});

test('stats say what is on and why', () => {
  const stats: SecurityStats = {
    features: {
      ip_blocklist: 'automatic-on',
      intrusion_detection: 'off',
      anomaly_detection: 'on',
      resource_protection: 'automatic-off',
    },
    blocked_ips: { automatic: 1, by_owner: 2, permanent: 3 },
    addresses: 4,
    held: 0,
    scarce: 'CPU',
    last_24h: {
      by_kind: { intrusion: 0, anomaly: 0, honeypot: 0, resource: 0 },
      by_severity: { low: 0, medium: 0, high: 0, critical: 0 },
      patterns: [],
    },
  };
  const text = statsText(stats);
  expect(text).toContain('on, since others can reach a listener');
  expect(text).toContain('Banned: 1 by FLM, 2 by you; 3 without an end.');
  expect(text).toContain('at its limit (CPU)');
  expect(text).toEndWith('Nothing was seen in the last 24 hours.');
});

test('a ban that is lifted while a wider one holds is not told as the end of it', () => {
  const lifted = { ip: '203.0.113.50', unblocked: true, still_blocked_by: null } as const;
  expect(unbannedText(lifted)).toBe('203.0.113.50 is not banned any more.');
  const text = unbannedText({ ...lifted, still_blocked_by: '203.0.113.0/24' });
  expect(text).toContain('that of 203.0.113.0/24 still holds');
  expect(text).not.toContain('any more');
});
