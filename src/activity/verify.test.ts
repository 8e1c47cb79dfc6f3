import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { cpSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { often } from '../../test/support/often';
import { factsOf } from '../../test/support/request-facts';
import { type LogFixture, logFixture } from '../../test/support/request-log';
import type { ActivityRemoval } from '../contract';
import { createDayFiles } from './files';
import { createLedger } from './ledger';
import type { ActivityVerdict } from './model';
import { dayOf } from './row';
import { verify } from './verify';

setDefaultTimeout(60_000);

const ROWS = often(20_000, 100_000);
const DAY_ROWS = ROWS / 4;
const BLOCK_ROWS = 1_000;
const BLOCKS = ROWS / BLOCK_ROWS;
const DAY_BLOCKS = BLOCKS / 4;
const DAY_MS = 86_400_000;
const START_MS = 1_760_000_000_000;
/** Four days with a quarter of the rows each. */
const [FIRST, SECOND, THIRD] = [0, 1, 2, 3].map((day) => dayOf(START_MS + day * DAY_MS)) as [
  string,
  string,
  string,
  string,
];
/** Rows in the midst of a block. */
const ON_SECOND = DAY_ROWS + 2_345;
const ON_THIRD = 2 * DAY_ROWS + 2_345;

let log: LogFixture;

beforeAll(async () => {
  log = await logFixture(START_MS);
  const writer = log.start();
  for (let day = 0; day < 4; day++) {
    for (let n = 0; n < DAY_ROWS; n += 500) {
      const at = { atMs: START_MS + day * DAY_MS, durationMs: 5 };
      log.write(
        writer,
        Array.from({ length: 500 }, (_, i) => factsOf(day * DAY_ROWS + n + i, at)),
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

describe(`verify, of ${ROWS.toLocaleString('en')} rows on four days`, () => {
  test('says that an untouched log is valid', () => {
    expect(tampered(() => {})).toEqual({
      valid: true,
      days: 4,
      rows: ROWS,
      blocks: BLOCKS,
      removed_days: [],
      anchored_rows: ROWS,
      unanchored_rows: 0,
      fault: null,
    });
  });

  test.each([
    ['an edit', FIRST, ['UPDATE "rows" SET status = 500 WHERE seq = 2345'], 'changed-row', 2_345],
    [
      'an edit of the very last row',
      dayOf(START_MS + 3 * DAY_MS),
      [`UPDATE "rows" SET prompt_tokens = 1 WHERE seq = ${ROWS}`],
      'changed-row',
      ROWS,
    ],
    [
      'another model under a name',
      SECOND,
      [`UPDATE names SET text = 'other' WHERE text = '${factsOf(DAY_ROWS).model}'`],
      'changed-row',
      DAY_ROWS + 1,
    ],
    [
      'another address',
      SECOND,
      ["UPDATE clients SET address = '1.2.3.4' WHERE id = 1"],
      'changed-address',
      DAY_ROWS + 1,
    ],
    [
      'an address whose commitment was made to fit',
      SECOND,
      ['UPDATE clients SET commitment = randomblob(32) WHERE id = 3'],
      'changed-row',
      DAY_ROWS + 3,
    ],
    ['a deletion', THIRD, [`DELETE FROM "rows" WHERE seq = ${ON_THIRD}`], 'missing-row', ON_THIRD],
    [
      'a deletion that closes the gap',
      THIRD,
      [
        `DELETE FROM "rows" WHERE seq = ${ON_THIRD}`,
        `UPDATE "rows" SET seq = seq - 1 WHERE seq > ${ON_THIRD}`,
      ],
      'changed-row',
      ON_THIRD,
    ],
    [
      'an insertion',
      FIRST,
      [
        'UPDATE "rows" SET seq = seq + 10000000 WHERE seq > 2000',
        'UPDATE "rows" SET seq = seq - 9999999 WHERE seq > 10000000',
        `INSERT INTO "rows" SELECT 2001, kind, at_ms, request_id, client, method, path, "key", model, engine, outcome, status, error, attempts, is_stream, waited_ms, first_byte_ms, first_token_ms, duration_ms, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, opened_seq, "count", link FROM "rows" WHERE seq = 5`,
      ],
      'changed-row',
      2_001,
    ],
    [
      'an exchange of two rows',
      SECOND,
      [
        `UPDATE "rows" SET seq = -1 WHERE seq = ${ON_SECOND}`,
        `UPDATE "rows" SET seq = ${ON_SECOND} WHERE seq = ${ON_SECOND + 1}`,
        `UPDATE "rows" SET seq = ${ON_SECOND + 1} WHERE seq = -1`,
      ],
      'changed-row',
      ON_SECOND,
    ],
    [
      'a row behind the last',
      dayOf(START_MS + 3 * DAY_MS),
      [
        `INSERT INTO "rows" SELECT ${ROWS + 1}, kind, at_ms, request_id, client, method, path, "key", model, engine, outcome, status, error, attempts, is_stream, waited_ms, first_byte_ms, first_token_ms, duration_ms, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, opened_seq, "count", link FROM "rows" WHERE seq = ${ROWS - 1}`,
      ],
      'extra-row',
      ROWS + 1,
    ],
    [
      'rows cut off',
      dayOf(START_MS + 3 * DAY_MS),
      [`DELETE FROM "rows" WHERE seq > ${ROWS - BLOCK_ROWS}`],
      'missing-row',
      ROWS - BLOCK_ROWS + 1,
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
      sql(
        day,
        `DELETE FROM "rows" WHERE seq > ${ROWS - BLOCK_ROWS}`,
        `DELETE FROM blocks WHERE n = ${BLOCKS}`,
      );
    expect(tampered(cut, false).fault).toMatchObject({ kind: 'anchor', block: BLOCKS });
    expect(
      tampered((copy, sql) => {
        cut(copy, sql);
        // Whoever has the key can also write the book of days; what is on record elsewhere still tells.
        const ledger = createLedger(join(copy, 'ledger.json'), log.seal.keyBytes);
        ledger.write(ledger.read().filter((entry) => entry.day !== day));
      }).fault,
    ).toMatchObject({ kind: 'anchor', block: BLOCKS });
  });

  test('finds a block that was left out', () => {
    const block = DAY_BLOCKS + 3;
    const { fault } = tampered((_copy, sql) =>
      sql(
        SECOND,
        `DELETE FROM "rows" WHERE seq > ${(block - 1) * BLOCK_ROWS} AND seq <= ${block * BLOCK_ROWS}`,
        `DELETE FROM blocks WHERE n = ${block}`,
      ),
    );
    expect(fault).toMatchObject({ kind: 'missing-block', block });
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
        const days = ledger.read().map((entry) =>
          entry.day === THIRD
            ? {
                ...entry,
                state: 'removed' as const,
                firstBlock: alsoBefore ? DAY_BLOCKS + 1 : entry.firstBlock,
              }
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
      for (const other of [
        { day: SECOND },
        { block: BLOCKS - 1 },
        { firstBlock: DAY_BLOCKS + 1 },
        { digest: '00' },
      ])
        expect(tampered(remove(), true, [recorded(other)]).fault).toMatchObject({ kind: 'missing-day' });
    });

    test('believes it when the audit chain tells the same, also as an older FLM told it', () => {
      expect(tampered(remove(), true, [recorded()])).toMatchObject({ valid: true, removed_days: [THIRD] });
      const older = recorded({ firstBlock: null, block: null, digest: null });
      expect(tampered(remove(), true, [older])).toMatchObject({ valid: true, removed_days: [THIRD] });
    });

    test('misses blocks that were left out of a day that was only marked as archived', () => {
      const lastOfThird = 3 * DAY_BLOCKS;
      const { fault } = tampered(
        (copy, sql) => {
          const ledger = createLedger(join(copy, 'ledger.json'), log.seal.keyBytes);
          const days = ledger.read();
          ledger.write(days.map((each) => (each.day === THIRD ? { ...each, state: 'archived' } : each)));
          sql(
            THIRD,
            `DELETE FROM "rows" WHERE seq > ${(lastOfThird - 1) * BLOCK_ROWS}`,
            `DELETE FROM blocks WHERE n = ${lastOfThird}`,
          );
        },
        true,
        [recorded()],
      );
      expect(fault).toMatchObject({ kind: 'missing-block', block: lastOfThird });
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
