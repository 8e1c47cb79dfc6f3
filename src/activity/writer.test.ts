import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { factsOf } from '../../test/support/request-facts';
import { type LogFixture, logFixture } from '../../test/support/request-log';
import { EVERYTHING } from './query';
import { dayOf, startOf } from './row';
import { createBatchBuilder, decodeBatch } from './wire';

setDefaultTimeout(60_000);

const DAY_MS = 86_400_000;
const NOON = startOf('2026-05-10') + DAY_MS / 2;
const page = { limit: 1_000, cursor: null };

/** Requests that end at the moment of the clock. */
function now(log: LogFixture, count: number, from = 0) {
  return Array.from({ length: count }, (_, i) =>
    factsOf(from + i, { atMs: log.clock.nowMs() - 10, durationMs: 10 }),
  );
}

function idsIn(log: LogFixture, filter = {}): string[] {
  const reader = log.reader();
  try {
    return reader
      .list({ filter: { ...EVERYTHING, ...filter }, page, running: [] })
      .items.map((item) => item.request_id);
  } finally {
    reader.close();
  }
}

const idsOf = (...numbers: number[]) => numbers.map((n) => factsOf(n).requestId);

describe('the writer', () => {
  test('goes on where a run that was killed has ended', async () => {
    using log = await logFixture(NOON);
    log.write(log.start(), now(log, 3));
    // Not closed: as after kill -9.
    const writer = log.start();
    log.write(writer, now(log, 2, 3));
    writer.close();
    expect(log.verify()).toMatchObject({ valid: true, rows: 5, blocks: 2, unanchored_rows: 0 });
    expect(idsIn(log)).toEqual(idsOf(4, 3, 2, 1, 0));
  });

  test('writes a batch that comes again only once', async () => {
    using log = await logFixture(NOON);
    const writer = log.start();
    const builder = createBatchBuilder();
    const batches = [1, 2].map((n) => {
      builder.add(factsOf(n, { atMs: NOON }), false);
      return decodeBatch(builder.take(`run:${n}`));
    });
    for (const batch of [...batches, ...batches]) writer.write(batch);
    expect(idsIn(log)).toEqual(idsOf(2, 1));
    writer.close();
    expect(log.verify().valid).toBe(true);
  });

  test('puts rows of one batch on both sides of midnight, in one chain', async () => {
    using log = await logFixture(startOf('2026-05-11'));
    const writer = log.start();
    const midnight = log.clock.nowMs();
    log.write(writer, [
      factsOf(1, { atMs: midnight - 50, durationMs: 10 }),
      factsOf(2, { atMs: midnight - 50, durationMs: 90 }),
      factsOf(3, { atMs: midnight - 20, durationMs: 10 }),
    ]);
    writer.close();
    expect(log.files.days()).toEqual(['2026-05-10', '2026-05-11']);
    expect(idsIn(log)).toEqual(idsOf(2, 3, 1));
    expect(log.verify()).toMatchObject({ valid: true, rows: 3, days: 2 });
  });

  test('stays valid when somebody sets the clock back and forth over midnight', async () => {
    using log = await logFixture(startOf('2026-05-11') + 1_000);
    const writer = log.start();
    for (const [n, jump] of [0, -2_000, 5_000, -DAY_MS, 3 * DAY_MS, -2 * DAY_MS].entries()) {
      log.clock.setWall(log.clock.nowMs() + jump);
      log.write(writer, now(log, 2, n * 2));
      writer.tick();
    }
    writer.close();
    const again = log.start();
    log.write(again, now(log, 2, 50));
    again.close();
    expect(log.verify()).toMatchObject({ valid: true, rows: 14 });
    expect(idsIn(log)).toHaveLength(14);
  });

  test('anchors every ten minutes, at the end of a day and when it stops', async () => {
    using log = await logFixture(startOf('2026-05-10') + DAY_MS - 700_000);
    const writer = log.start();
    log.write(writer, now(log, 2));
    writer.tick();
    expect(log.anchors).toEqual([]);
    log.clock.advance(600_000);
    writer.tick();
    expect(log.anchors).toMatchObject([{ day: '2026-05-10', block: 1, rows: 2 }]);
    log.clock.advance(600_000);
    writer.tick();
    expect(log.anchors).toHaveLength(1); // Nothing new.
    log.clock.setWall(startOf('2026-05-10') + DAY_MS - 10);
    log.write(writer, now(log, 1, 5));
    log.clock.advance(20);
    writer.tick();
    expect(log.anchors[1]).toMatchObject({ day: '2026-05-10', block: 2, rows: 3 });
    log.write(writer, now(log, 1, 6));
    writer.close();
    expect(log.anchors[2]).toMatchObject({ day: '2026-05-11', block: 3, rows: 4 });
    expect(log.verify().valid).toBe(true);
  });

  test('puts a file that cannot be read aside and writes on', async () => {
    using log = await logFixture(NOON);
    const writer = log.start();
    log.write(writer, now(log, 2));
    writer.close();
    await Bun.write(join(log.dir, '2026-05-10.db'), 'x'.repeat(5_000));
    const next = log.start();
    log.write(next, now(log, 1, 2));
    next.close();
    expect(log.warnings).toHaveLength(1);
    expect(readdirSync(log.dir).filter((name) => name.includes('damaged'))).toHaveLength(1);
    expect(idsIn(log)).toEqual(idsOf(2));
    // That it is gone is on no record.
    expect(log.verify()).toMatchObject({ valid: false, fault: { kind: 'missing-block', block: 1 } });
  });
});

describe('a request that takes long', () => {
  test('is told as running, and once when it has ended', async () => {
    using log = await logFixture(NOON);
    const writer = log.start();
    const long = factsOf(1, { atMs: NOON - 30_000, durationMs: 30_000, status: 200 });
    log.write(writer, [long], true);
    const reader = log.reader();
    const list = (running: string[]) =>
      reader
        .list({ filter: EVERYTHING, page, running })
        .items.map(({ request_id: id, outcome, latency_ms: ms }) => [id, outcome, ms]);
    expect(list([long.requestId])).toEqual([[long.requestId, 'running', 30_000]]);
    log.write(writer, [{ ...long, durationMs: 45_000 }]);
    expect(list([])).toEqual([[long.requestId, 'done', 45_000]]);
    reader.close();
    writer.close();
    expect(log.verify()).toMatchObject({ valid: true, rows: 2 });
  });

  test('during which FLM ended is unknown; one that a hand-over finishes the next day is not', async () => {
    using log = await logFixture(startOf('2026-05-11') - 1_000);
    const long = [1, 2].map((n) =>
      factsOf(n, { atMs: log.clock.nowMs() - 30_000, durationMs: 30_000, status: n === 1 ? 0 : 200 }),
    );
    log.write(log.start(), long, true);
    log.clock.advance(10_000);
    const writer = log.start();
    log.write(writer, [{ ...factsOf(2), atMs: log.clock.nowMs() - 40_000, durationMs: 40_000 }]);
    const reader = log.reader();
    const { items } = reader.list({ filter: EVERYTHING, page, running: [] });
    expect(items.map(({ request_id, outcome, status }) => [request_id, outcome, status])).toEqual([
      [...idsOf(2), 'done', 200],
      [...idsOf(1), 'unknown', null],
    ]);
    reader.close();
    writer.close();
  });
});

describe('retention', () => {
  async function tenDays(settings: Partial<LogFixture['settings']>) {
    const log = await logFixture(NOON);
    for (let day = 0; day < 10; day++) {
      const writer = log.start();
      log.write(writer, now(log, 300, day * 300));
      writer.close();
      log.clock.advance(DAY_MS);
    }
    Object.assign(log.settings, settings);
    return log;
  }

  test('removes days that are too old, on record, and the rest stays valid', async () => {
    using log = await tenDays({ retentionDays: 4 });
    const writer = log.start();
    writer.tick();
    log.write(writer, now(log, 1, 9_999));
    writer.close();
    const gone = [0, 1, 2, 3, 4, 5].map((day) => dayOf(NOON + day * DAY_MS));
    expect(log.events.map(({ type, target }) => [type, target])).toEqual(
      gone.map((day) => ['activity.removed', `activity:${day}`]),
    );
    expect(log.verify()).toMatchObject({ valid: true, removed_days: gone, rows: 1_201 });
    expect(readdirSync(log.dir).filter((name) => name.startsWith(gone[0] ?? ''))).toEqual([]);
  });

  test('a day that was removed without a record is still missed', async () => {
    using log = await tenDays({ retentionDays: 4 });
    const writer = log.start();
    writer.tick();
    writer.close();
    log.files.remove(dayOf(NOON + 6 * DAY_MS));
    expect(log.verify().fault).toMatchObject({ kind: 'missing-day' });
  });

  test('removes nothing that could not be put on record, and tries again', async () => {
    using log = await tenDays({ retentionDays: 4 });
    log.isAuditUp = false;
    const writer = log.start();
    writer.tick();
    expect(log.files.days()).toHaveLength(10);
    expect(log.verify()).toMatchObject({ valid: true, removed_days: [] });
    log.isAuditUp = true;
    log.clock.advance(61_000);
    writer.tick();
    writer.close();
    expect(log.files.days()).toHaveLength(4);
    expect(log.verify()).toMatchObject({ valid: true, removed_days: { length: 6 } });
  });

  test('moves days to the archive when it is asked to, where verify finds them', async () => {
    using log = await tenDays({ retentionDays: 8, archive: true });
    const writer = log.start();
    writer.tick();
    writer.close();
    expect(readdirSync(join(log.dir, 'archive')).sort()).toEqual(['2026-05-10.db', '2026-05-11.db']);
    expect(log.events.map(({ type }) => type)).toEqual(['activity.archived', 'activity.archived']);
    expect(log.verify()).toMatchObject({ valid: true, rows: 3_000, days: 10 });
    // Somebody took them elsewhere: that they were archived is on record.
    rmSync(join(log.dir, 'archive'), { recursive: true });
    expect(log.verify()).toMatchObject({ valid: true, days: 8 });
  });

  test('keeps within the quota by removing the oldest days', async () => {
    using log = await tenDays({});
    const size = log.files.bytesOf('2026-05-12');
    log.settings = { ...log.settings, maxBytes: size * 4 };
    const writer = log.start();
    writer.tick();
    writer.close();
    const left = log.files.days();
    expect(left).toEqual(['2026-05-16', '2026-05-17', '2026-05-18', '2026-05-19'].slice(-left.length));
    expect(left.length).toBeGreaterThan(1);
    expect(left.reduce((sum, day) => sum + log.files.bytesOf(day), 0)).toBeLessThan(size * 4);
    expect(log.verify()).toMatchObject({ valid: true, removed_days: { length: 10 - left.length } });
  });

  test('leaves rows out, and says so once, when one day alone needs more room', async () => {
    using log = await tenDays({ maxBytes: 1_000 });
    const writer = log.start();
    writer.tick();
    const builder = createBatchBuilder();
    for (const facts of now(log, 3, 5_000)) builder.add(facts, false);
    expect(writer.write(decodeBatch(builder.take('other:1')))).toBe(3);
    log.clock.advance(61_000);
    writer.tick();
    writer.close();
    expect(log.warnings).toHaveLength(1);
    expect(log.verify().valid).toBe(true);
  });

  test('removes nothing because somebody has set the clock', async () => {
    using log = await tenDays({ retentionDays: 20 });
    const writer = log.start();
    log.clock.setWall(log.clock.nowMs() + 365 * DAY_MS);
    writer.tick();
    writer.close();
    expect(log.files.days()).toHaveLength(10);
  });
});

describe('erasing an address', () => {
  test('takes it out of all days and files, leaves the rows, and the log stays valid', async () => {
    using log = await logFixture(NOON);
    for (const day of [0, 1]) {
      const writer = log.start();
      log.write(writer, [
        ...now(log, 3, day * 10).map((facts) => ({ ...facts, ip: '203.0.113.77' })),
        ...now(log, 2, day * 10 + 5).map((facts) => ({ ...facts, ip: '198.51.100.9' })),
      ]);
      writer.close();
      log.clock.advance(DAY_MS);
    }
    const writer = log.start();
    expect(writer.erase('203.0.113.77')).toEqual({ places: 2, days: 2 });
    expect(writer.erase('203.0.113.77')).toEqual({ places: 0, days: 0 });
    writer.close();
    expect(log.verify()).toMatchObject({ valid: true, rows: 10 });
    expect(idsIn(log)).toHaveLength(10);
    expect(idsIn(log, { ip: '203.0.113.77' })).toEqual([]);
    expect(idsIn(log, { ip: '198.51.100.9' })).toHaveLength(4);
    // Not in a free page either.
    for (const day of log.files.days()) {
      const { $client } = log.opener.open(join(log.dir, `${day}.db`), 'write');
      expect($client.serialize().includes('203.0.113.77')).toBe(false);
      expect($client.serialize().includes('198.51.100.9')).toBe(true);
      $client.close();
    }
  });
});

test('nothing of a request can be read from the files without the key', async () => {
  using log = await logFixture(NOON);
  const writer = log.start();
  log.write(writer, now(log, 50));
  writer.close();
  expect(existsSync(join(log.dir, '2026-05-10.db'))).toBe(true);
  for (const name of readdirSync(log.dir)) {
    const bytes = readFileSync(join(log.dir, name));
    for (const text of ['SQLite format', '/v1/chat', 'model-', '10.0.0', 'Key0000'])
      expect(bytes.includes(text)).toBe(false);
  }
});

describe('what a client makes up', () => {
  const text = (facts: Partial<Parameters<typeof factsOf>[1]>) => {
    const builder = createBatchBuilder();
    builder.add(factsOf(1, facts), false);
    const [row] = decodeBatch(builder.take('run:1')).rows;
    return { model: row?.model, path: row?.path };
  };

  test.each([
    ['half of a character', 'x\ud800'],
    ['the other half', '\udc00x'],
    ['an emoji where the text is cut', `${'a'.repeat(199)}😀`],
  ])('does not break the chain: %s', async (_name, made) => {
    using log = await logFixture(NOON);
    const writer = log.start();
    log.write(writer, [
      factsOf(1, {
        atMs: NOON,
        model: made,
        path: `/v1/${made}`,
        method: made,
        ip: `${'1'.repeat(44)}${made}`,
        principalId: made,
        engineId: made,
        errorCode: made,
      }),
    ]);
    const builder = createBatchBuilder();
    builder.refuse({ atMs: NOON, ip: `${'1'.repeat(44)}😀${made}`, path: made, reason: made, status: 401 });
    writer.write(decodeBatch(builder.take('other:1')));
    writer.close();
    expect(log.verify()).toMatchObject({ valid: true, rows: 2, fault: null });
  });

  test('is not kept where it is a key', () => {
    const secret = '9zY8xW7vU6tS5rQ4pO3nM2lK1jI0hGfEdCb';
    const key = `flm_Ab12Cd34${secret.slice(0, 34)}`;
    for (const made of [
      key,
      `Bearer ${secret}`,
      `bearer ${secret}`,
      `sk-${secret}`,
      `${'a'.repeat(180)} ${key}`,
    ]) {
      const { model, path } = text({ model: made, path: `/v1/models/${made}` });
      expect(model).not.toContain(secret.slice(0, 8));
      expect(path).not.toContain(secret.slice(0, 8));
    }
    expect(text({ model: key })).toMatchObject({ model: 'flm_Ab12Cd34[redacted]' });
    expect(text({ model: 'desk-model:7b' })).toMatchObject({ model: 'desk-model:7b' });
  });
});
