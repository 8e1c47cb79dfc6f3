/** What an address has done fades, is forgiven, and takes a bounded room. */
import { describe, expect, test } from 'bun:test';
import { rulesOf } from './rules';
import { sentenceFor } from './sentence';
import { createStandings, Standing } from './standing';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

describe('fading', () => {
  test('takes a point with each minute and a failure with each hour', () => {
    const standing = new Standing('a', 0);
    standing.fail(1, 1, 0, 0);
    standing.fail(1, 2, 0, 0);
    standing.intrusion = 30;
    standing.fade(10 * MINUTE_MS);
    expect([standing.intrusion, standing.failures]).toEqual([20, 2]);
    standing.fade(HOUR_MS);
    expect([standing.intrusion, standing.failures]).toEqual([0, 1]);
    standing.fade(2 * HOUR_MS);
    expect([standing.failures, standing.firstFailureAtMs]).toEqual([0, null]);
  });

  test('asking often makes nothing fade sooner or later', () => {
    const standing = new Standing('a', 0);
    standing.anomaly = 50;
    for (let ms = 0; ms <= 10 * MINUTE_MS; ms += 777) standing.fade(ms);
    standing.fade(10 * MINUTE_MS);
    expect(standing.anomaly).toBe(40);
  });

  test('failures do not fade during a ban', () => {
    const standing = new Standing('a', 0);
    for (let key = 0; key < 5; key++) standing.fail(1, key, 0, 0);
    standing.banned(DAY_MS);
    standing.fade(DAY_MS);
    expect(standing.failures).toBe(5);
    standing.fade(DAY_MS + HOUR_MS);
    expect(standing.failures).toBe(4);
  });

  test('goes on across a restart', () => {
    const before = new Standing('a', 0);
    before.intrusion = 90;
    before.bans = 2;
    before.lastAtMs = 0;
    const after = Standing.restored(before.stored(0, 1_000), 500, 30 * MINUTE_MS);
    expect([after.intrusion, after.bans]).toEqual([60, 2]);
  });
});

describe('forgiving', () => {
  test('takes a failure and some points for each request with a valid key', () => {
    const standing = new Standing('a', 0);
    for (let key = 0; key < 3; key++) standing.fail(1, key, 0, 0);
    standing.intrusion = 12;
    for (let n = 0; n < 3; n++) standing.forgive(0);
    expect(standing.isClean).toBe(true);
  });
});

describe('sentences', () => {
  const rules = rulesOf({ version: 1, document: {} }, true);
  const none = { failures: 0, intrusion: 0, anomaly: 0 };

  function after(done: Partial<typeof none>, bans = 0): number | null | 'none' {
    const standing = new Standing('a', 0);
    standing.bans = bans;
    Object.assign(standing, done);
    const sentence = sentenceFor(standing, none, rules);
    return sentence === null ? 'none' : sentence.lengthMs;
  }

  test.each<[string, Partial<typeof none>, number, number | null | 'none']>([
    ['4 failures', { failures: 4 }, 0, 'none'],
    ['5 failures', { failures: 5 }, 0, 30 * MINUTE_MS],
    ['10 failures', { failures: 10 }, 0, DAY_MS],
    ['20 failures', { failures: 20 }, 0, null],
    ['5 failures, the second time', { failures: 5 }, 1, DAY_MS],
    ['5 failures, the third time', { failures: 5 }, 2, 7 * DAY_MS],
    ['5 failures, the tenth time', { failures: 5 }, 9, 30 * DAY_MS],
    ['score 99', { intrusion: 99 }, 0, 'none'],
    ['score 100', { intrusion: 100 }, 0, HOUR_MS],
    ['score 200', { intrusion: 200 }, 0, DAY_MS],
    ['anomaly 100', { anomaly: 100 }, 0, HOUR_MS],
    ['anomaly and intrusion 60 each', { anomaly: 60, intrusion: 60 }, 0, 'none'],
  ])('%s', (_, done, bans, expected) => {
    expect(after(done, bans)).toBe(expected);
  });

  test('auto_block off only warns', () => {
    const lenient = rulesOf(
      { version: 1, document: { anomaly_detection: { enabled: true, auto_block: false } } },
      true,
    );
    const standing = new Standing('a', 0);
    standing.anomaly = 500;
    expect(sentenceFor(standing, none, lenient)).toBeNull();
  });

  test('a level that was reached before does not count again', () => {
    const standing = new Standing('a', 0);
    standing.failures = 6;
    expect(sentenceFor(standing, { ...none, failures: 5 }, rules)).toBeNull();
  });
});

describe('a million sources', () => {
  test('take no more room than a few, and those that tell most stay', () => {
    const max = 2_000;
    const standings = createStandings(max);
    for (let n = 0; n < 200; n++) {
      const bad = standings.of(`bad ${n}`, n);
      bad.bans = 1;
      bad.intrusion = 80;
    }
    for (let n = 0; n < 1_000_000; n++) {
      standings.of(`source ${n}`, 1_000 + n / 1_000);
      if (standings.size > max) throw new Error(`${standings.size} of ${max}`);
    }
    for (let n = 0; n < 200; n++) expect(standings.get(`bad ${n}`)).toBeDefined();
  });
});
