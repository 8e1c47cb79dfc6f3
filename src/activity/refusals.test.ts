import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { logFixture } from '../../test/support/request-log';
import { EVERYTHING } from './query';
import { createRefusals, OTHERS } from './refusals';
import type { LogRow } from './row';
import { createBatchBuilder, decodeBatch, type Refusal } from './wire';

setDefaultTimeout(60_000);

const MINUTE = 1_760_000_040_000;

function refusal(ip: string, more: Partial<Refusal> = {}): Refusal {
  return {
    atMs: MINUTE,
    ip,
    path: '/v1/models',
    reason: 'missing_authorization_header',
    status: 401,
    ...more,
  };
}

const shown = ({ address, path, error, count, atMs }: LogRow) => [address, path, error, count, atMs];

describe('refused strangers', () => {
  test('are counted by minute, source, kind of path and reason', () => {
    const refusals = createRefusals();
    for (const each of [
      refusal('203.0.113.7'),
      refusal('203.0.113.7', { atMs: MINUTE + 59_999 }),
      refusal('::ffff:203.0.113.7'),
      refusal('2001:db8:1:2::5'),
      refusal('2001:db8:1:2:aaaa::6'),
      refusal('203.0.113.7', { path: '/v1/secret-plans' }),
      refusal('203.0.113.7', { path: '/wp-login.php', reason: 'route_not_found', status: 404 }),
      refusal('203.0.113.7', { atMs: MINUTE + 60_000 }),
    ])
      refusals.count(each);
    const why = 'missing_authorization_header';
    expect(refusals.due(MINUTE + 60_000).map(shown)).toEqual([
      ['203.0.113.7', '/v1/models', why, 3, MINUTE],
      ['2001:db8:1:2::/64', '/v1/models', why, 2, MINUTE],
      ['203.0.113.7', '/v1/…', why, 1, MINUTE],
      ['203.0.113.7', '(other)', 'route_not_found', 1, MINUTE],
    ]);
    refusals.forget(MINUTE + 60_000);
    expect(refusals.due(Number.POSITIVE_INFINITY)).toHaveLength(1);
  });

  test('from a million addresses take a bounded number of rows, and none is forgotten', () => {
    const refusals = createRefusals();
    for (let n = 0; n < 1_000_000; n++)
      refusals.count(
        refusal(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, { atMs: MINUTE + (n >> 13) * 1_000 }),
      );
    const rows = refusals.due(Number.POSITIVE_INFINITY);
    expect(rows.length).toBeLessThan(4_200);
    expect(rows.reduce((sum, row) => sum + (row.count ?? 0), 0)).toBe(1_000_000);
    expect(rows.some((row) => row.address === OTHERS)).toBe(true);
  });

  test('a flood of 100,000 from 1,000 addresses grows the files by less than 1 MB', async () => {
    using log = await logFixture(MINUTE);
    const writer = log.start();
    const builder = createBatchBuilder();
    const bytes = () =>
      ['', '-wal'].reduce(
        (sum, part) =>
          sum + (statSync(join(log.dir, `2025-10-09.db${part}`), { throwIfNoEntry: false })?.size ?? 0),
        0,
      );
    let batch = 0;
    for (let n = 0; n < 100_000; n++) {
      builder.refuse(refusal(`10.9.${n % 250}.${(n % 1_000) % 4}`, { atMs: log.clock.nowMs() }));
      if (n % 1_000 !== 999) continue;
      writer.write(decodeBatch(builder.take(`run:${++batch}`)));
      log.clock.advance(3_000); // Five minutes in all.
      writer.tick();
    }
    log.clock.advance(60_000);
    writer.tick();
    expect(bytes()).toBeLessThan(1_000_000);
    writer.close();
    expect(bytes()).toBeLessThan(1_000_000);
    const reader = log.reader();
    const stats = reader.stats({
      by: 'day',
      key: null,
      model: null,
      engine: null,
      sinceMs: null,
      untilMs: null,
    });
    expect(stats).toMatchObject({ refused: 100_000, total: { requests: 0 } });
    const { items, next } = reader.refusals({ filter: EVERYTHING, page: { limit: 10, cursor: null } });
    expect(items[0]).toMatchObject({ endpoint: '/v1/models', status: 401 });
    expect(next).not.toBeNull();
    reader.close();
    expect(log.verify()).toMatchObject({ valid: true, unanchored_rows: 0 });
  });
});
