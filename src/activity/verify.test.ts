import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { cpSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { factsOf } from '../../test/support/request-facts';
import { type LogFixture, logFixture } from '../../test/support/request-log';
import type { ActivityRemoval } from '../contract';
import { createDayFiles } from './files';
import { createLedger } from './ledger';
import type { ActivityVerdict } from './model';
import { dayOf } from './row';
import { verify } from './verify';

setDefaultTimeout(60_000);

const ROWS = 100_000;
const DAY_MS = 86_400_000;
const START_MS = 1_760_000_000_000;
/** Four days with a quarter of the rows each. */
const [FIRST, SECOND, THIRD] = [0, 1, 2, 3].map((day) => dayOf(START_MS + day * DAY_MS)) as [
  string,
  string,
  string,
  string,
];

let log: LogFixture;

beforeAll(async () => {
  log = await logFixture(START_MS);
  const writer = log.start();
  for (let day = 0; day < 4; day++) {
    for (let n = 0; n < ROWS / 4; n += 500) {
      const at = { atMs: START_MS + day * DAY_MS, durationMs: 5 };
      log.write(
        writer,
        Array.from({ length: 500 }, (_, i) => factsOf(day * (ROWS / 4) + n + i, at)),
      );
    }
    log.clock.advance(DAY_MS);
    writer.tick();
  }
  writer.close();
});

afterAll(() => log[Symbol.dispose]());

type Sql = (day: string, ...statements: readonly string[]) => void;

/** What verify says of a copy that somebody with the key has changed. */
function tampered(
  change: (copy: string, sql: Sql) => void,
  withAnchors = true,
  removals: readonly ActivityRemoval[] = [],
): ActivityVerdict {
  const copy = mkdtempSync(join(tmpdir(), 'flm-tamper-'));
  try {
    cpSync(log.dir, copy, { recursive: true });
    change(copy, (day, ...statements) => {
      const { $client } = log.opener.open(join(copy, `${day}.db`), 'write');
      for (const statement of statements) expect($client.prepare(statement).run().changes).toBeGreaterThan(0);
      $client.close();
    });
    const ledger = createLedger(join(copy, 'ledger.json'), log.seal.keyBytes);
    return verify({
      files: createDayFiles(copy, log.opener),
      ledger,
      anchors: withAnchors ? log.anchors : [],
      removals,
    });
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

describe('verify, of 100,000 rows on four days', () => {
  test('says that an untouched log is valid', () => {
    expect(tampered(() => {})).toEqual({
      valid: true,
      days: 4,
      rows: ROWS,
      blocks: 100,
      removed_days: [],
      anchored_rows: ROWS,
      unanchored_rows: 0,
      fault: null,
    });
  });

  test.each([
    ['an edit', FIRST, ['UPDATE "rows" SET status = 500 WHERE seq = 12345'], 'changed-row', 12_345],
    [
      'an edit of the very last row',
      dayOf(START_MS + 3 * DAY_MS),
      ['UPDATE "rows" SET prompt_tokens = 1 WHERE seq = 100000'],
      'changed-row',
      100_000,
    ],
    [
      'another model under a name',
      SECOND,
      ["UPDATE names SET text = 'other' WHERE text = 'model-3'"],
      'changed-row',
      25_001,
    ],
    [
      'another address',
      SECOND,
      ["UPDATE clients SET address = '1.2.3.4' WHERE id = 1"],
      'changed-address',
      25_001,
    ],
    [
      'an address whose commitment was made to fit',
      SECOND,
      ['UPDATE clients SET commitment = randomblob(32) WHERE id = 3'],
      'changed-row',
      25_003,
    ],
    ['a deletion', THIRD, ['DELETE FROM "rows" WHERE seq = 60000'], 'missing-row', 60_000],
    [
      'a deletion that closes the gap',
      THIRD,
      ['DELETE FROM "rows" WHERE seq = 60000', 'UPDATE "rows" SET seq = seq - 1 WHERE seq > 60000'],
      'changed-row',
      60_000,
    ],
    [
      'an insertion',
      FIRST,
      [
        'UPDATE "rows" SET seq = seq + 10000000 WHERE seq > 20000',
        'UPDATE "rows" SET seq = seq - 9999999 WHERE seq > 10000000',
        `INSERT INTO "rows" SELECT 20001, kind, at_ms, request_id, client, method, path, "key", model, engine, outcome, status, error, attempts, is_stream, waited_ms, first_byte_ms, first_token_ms, duration_ms, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, opened_seq, "count", link FROM "rows" WHERE seq = 5`,
      ],
      'changed-row',
      20_001,
    ],
    [
      'an exchange of two rows',
      SECOND,
      [
        'UPDATE "rows" SET seq = -1 WHERE seq = 30000',
        'UPDATE "rows" SET seq = 30000 WHERE seq = 30001',
        'UPDATE "rows" SET seq = 30001 WHERE seq = -1',
      ],
      'changed-row',
      30_000,
    ],
    [
      'a row behind the last',
      dayOf(START_MS + 3 * DAY_MS),
      [
        `INSERT INTO "rows" SELECT 100001, kind, at_ms, request_id, client, method, path, "key", model, engine, outcome, status, error, attempts, is_stream, waited_ms, first_byte_ms, first_token_ms, duration_ms, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, opened_seq, "count", link FROM "rows" WHERE seq = 99999`,
      ],
      'extra-row',
      100_001,
    ],
    [
      'rows cut off',
      dayOf(START_MS + 3 * DAY_MS),
      ['DELETE FROM "rows" WHERE seq > 99000'],
      'missing-row',
      99_001,
    ],
  ] as const)('names the row of %s', (_name, day, statements, kind, row) => {
    const { valid, fault } = tampered((_copy, sql) => sql(day, ...statements));
    expect({ valid, kind: fault?.kind, row: fault?.row, day: fault?.day }).toEqual({
      valid: false,
      kind,
      row,
      day,
    });
  });

  test('finds rows that were cut off together with their blocks', () => {
    const day = dayOf(START_MS + 3 * DAY_MS);
    const cut = (_copy: string, sql: Sql) =>
      sql(day, 'DELETE FROM "rows" WHERE seq > 99000', 'DELETE FROM blocks WHERE n > 99');
    expect(tampered(cut, false).fault).toMatchObject({ kind: 'anchor', block: 100 });
    expect(
      tampered((copy, sql) => {
        cut(copy, sql);
        // Whoever has the key can also write the book of days; what is on record elsewhere still tells.
        const ledger = createLedger(join(copy, 'ledger.json'), log.seal.keyBytes);
        ledger.write(ledger.read().filter((entry) => entry.day !== day));
      }).fault,
    ).toMatchObject({ kind: 'anchor', block: 100 });
  });

  test('finds a block that was left out', () => {
    const { fault } = tampered((_copy, sql) =>
      sql(SECOND, 'DELETE FROM "rows" WHERE seq BETWEEN 30001 AND 31000', 'DELETE FROM blocks WHERE n = 31'),
    );
    expect(fault).toMatchObject({ kind: 'missing-block', block: 31 });
  });

  test('finds a day that is gone', () => {
    const { fault } = tampered((copy) => rmSync(join(copy, `${SECOND}.db`)));
    expect(fault).toMatchObject({ kind: 'missing-day', day: SECOND });
  });

  describe('of a day that whoever has the key marked as removed in the book of days', () => {
    /** Removes it; the book says that on purpose, with more blocks if that is asked for. */
    const remove =
      (alsoBefore = false) =>
      (copy: string) => {
        const ledger = createLedger(join(copy, 'ledger.json'), log.seal.keyBytes);
        const days = ledger
          .read()
          .map((entry) =>
            entry.day === THIRD
              ? { ...entry, state: 'removed' as const, firstBlock: alsoBefore ? 26 : entry.firstBlock }
              : entry,
          );
        ledger.write(alsoBefore ? days.filter(({ day }) => day !== SECOND) : days);
        rmSync(join(copy, `${THIRD}.db`));
        if (alsoBefore) rmSync(join(copy, `${SECOND}.db`));
      };
    const entry = () => {
      const found = log.ledger.read().find(({ day }) => day === THIRD);
      if (found === undefined) throw new Error('the day is not in the book');
      return found;
    };
    const recorded = (more: Partial<ActivityRemoval> = {}): ActivityRemoval => {
      const { day, firstBlock, lastBlock, digest } = entry();
      return { day, firstBlock, block: lastBlock, digest, ...more };
    };

    test('says that the audit chain does not know of it', () => {
      expect(tampered(remove()).fault).toMatchObject({ kind: 'missing-day', day: THIRD });
      for (const other of [{ day: SECOND }, { block: 99 }, { firstBlock: 26 }, { digest: '00' }])
        expect(tampered(remove(), true, [recorded(other)]).fault).toMatchObject({ kind: 'missing-day' });
    });

    test('believes it when the audit chain tells the same, also as an older FLM told it', () => {
      expect(tampered(remove(), true, [recorded()])).toMatchObject({ valid: true, removed_days: [THIRD] });
      const older = recorded({ firstBlock: null, block: null, digest: null });
      expect(tampered(remove(), true, [older])).toMatchObject({ valid: true, removed_days: [THIRD] });
    });

    test('misses blocks that were left out of a day that was only marked as archived', () => {
      const { fault } = tampered(
        (copy, sql) => {
          const ledger = createLedger(join(copy, 'ledger.json'), log.seal.keyBytes);
          const days = ledger.read();
          ledger.write(days.map((each) => (each.day === THIRD ? { ...each, state: 'archived' } : each)));
          sql(THIRD, 'DELETE FROM "rows" WHERE seq > 74000', 'DELETE FROM blocks WHERE n = 75');
        },
        true,
        [recorded()],
      );
      expect(fault).toMatchObject({ kind: 'missing-block', block: 75 });
    });

    test('finds another day that was hidden behind one that was removed', () => {
      expect(tampered(remove(true), true, [recorded()]).fault).toMatchObject({ kind: 'missing-day' });
      const older = recorded({ firstBlock: null });
      expect(tampered(remove(true), true, [older]).fault).toMatchObject({ kind: 'anchor', day: SECOND });
    });
  });

  test('finds days that were exchanged', () => {
    const { fault } = tampered((copy) => {
      renameSync(join(copy, `${FIRST}.db`), join(copy, 'x'));
      renameSync(join(copy, `${SECOND}.db`), join(copy, `${FIRST}.db`));
      renameSync(join(copy, 'x'), join(copy, `${SECOND}.db`));
    });
    expect(fault).toMatchObject({ kind: 'wrong-day', day: FIRST });
  });

  test('finds a file that was overwritten', async () => {
    const copy = mkdtempSync(join(tmpdir(), 'flm-tamper-'));
    cpSync(log.dir, copy, { recursive: true });
    await Bun.write(join(copy, `${THIRD}.db`), 'not a database at all, and long enough to be read as one');
    const ledger = createLedger(join(copy, 'ledger.json'), log.seal.keyBytes);
    const { fault } = verify({ files: createDayFiles(copy, log.opener), ledger, anchors: [], removals: [] });
    rmSync(copy, { recursive: true, force: true });
    expect(fault).toMatchObject({ kind: 'unreadable', day: THIRD });
  });

  test('does not believe a book of days that somebody without the key has written', async () => {
    const copy = mkdtempSync(join(tmpdir(), 'flm-tamper-'));
    cpSync(log.dir, copy, { recursive: true });
    rmSync(join(copy, `${SECOND}.db`));
    const path = join(copy, 'ledger.json');
    const text = await Bun.file(path).text();
    await Bun.write(
      path,
      text.replace(`"day":"${SECOND}","state":"here"`, `"day":"${SECOND}","state":"removed"`),
    );
    const ledger = createLedger(path, log.seal.keyBytes);
    const { fault } = verify({ files: createDayFiles(copy, log.opener), ledger, anchors: [], removals: [] });
    rmSync(copy, { recursive: true, force: true });
    expect(fault).toMatchObject({ kind: 'ledger' });
  });
});
