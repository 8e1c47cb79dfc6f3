import { describe, expect, test } from 'bun:test';
import { type Alert, createEpisodes, MAX_SUBJECTS, QUIET_MS } from './episodes';
import { DEFAULT_RULES } from './index';
import type { AlertRule } from './model';
import type { Occurrence } from './sources';

function rule(id: string, more: Partial<AlertRule> = {}): AlertRule {
  return {
    id,
    event_type: 'intrusion',
    severity: 'high',
    threshold: 70,
    enabled: true,
    targets: ['log'],
    ...more,
  };
}

function signal(more: Partial<Occurrence> = {}): Occurrence {
  return {
    event: 'intrusion',
    severity: 'medium',
    subject: '203.0.113.7',
    isAddress: true,
    score: 100,
    pattern: 'sql_injection',
    requestId: null,
    ...more,
  };
}

function watch(rules: readonly AlertRule[]) {
  const told: Alert[] = [];
  let ids = 0;
  const episodes = createEpisodes({ newId: () => `alert-${++ids}`, tell: (alert) => told.push(alert) });
  episodes.use(rules);
  const words = () => told.map(({ state, rule: { id }, subject, count }) => [state, id, subject, count]);
  return { episodes, told, words };
}

describe('FLM-117: the default rules', () => {
  test.each<[Partial<Occurrence>, string[]]>([
    [{ score: 69 }, []],
    [{ score: 70 }, ['intrusion-high']],
    [{ score: 89 }, ['intrusion-high']],
    [{ score: 90 }, ['intrusion-critical']],
    [{ event: 'anomaly', severity: 'high', score: 500 }, []],
    [{ event: 'anomaly', severity: 'critical', score: 1 }, ['anomaly-critical']],
    [{ event: 'rate_limit', severity: 'critical', score: null }, []],
  ])('%p fires %p', (more, fired) => {
    const { episodes, told } = watch(DEFAULT_RULES);
    episodes.note(signal(more), 0);
    expect(told.map((alert) => alert.rule.id)).toEqual(fired);
  });

  test('tell a target once, by the most severe rule, and another target by its own', () => {
    const { episodes, told } = watch([
      rule('high', { targets: ['log', 'ops'] }),
      rule('critical', { severity: 'critical', threshold: 90, targets: ['log'] }),
    ]);
    episodes.note(signal({ score: 95 }), 0);
    expect(told.map((alert) => [alert.rule.id, alert.targets])).toEqual([
      ['critical', ['log']],
      ['high', ['ops']],
    ]);
  });
});

describe('HL-134: one alert from beginning to end', () => {
  test('begins at once, goes on now and then, ends when it is quiet, under one id', () => {
    const { episodes, told, words } = watch([rule('r')]);
    for (let second = 0; second <= 900; second++) {
      episodes.note(signal(), second * 1_000);
      episodes.advance(second * 1_000);
    }
    episodes.advance(900_000 + QUIET_MS - 1);
    expect(words()).toEqual([
      ['firing', 'r', '203.0.113.7', 1],
      ['ongoing', 'r', '203.0.113.7', 601],
    ]);
    expect(episodes.nextMs()).toBe(900_000 + QUIET_MS);
    episodes.advance(900_000 + QUIET_MS);
    expect(words().at(-1)).toEqual(['resolved', 'r', '203.0.113.7', 901]);
    expect(new Set(told.map(({ alertId }) => alertId)).size).toBe(1);
    expect(episodes.nextMs()).toBeNull();
    episodes.note(signal(), 5_000_000);
    expect(told.at(-1)).toMatchObject({ state: 'firing', alertId: 'alert-2' });
  });

  test('an attack of a day is told a dozen times, not every ten minutes', () => {
    const { episodes, told } = watch([rule('r')]);
    for (let minute = 0; minute < 1_440; minute++) {
      episodes.note(signal(), minute * 60_000);
      episodes.advance(minute * 60_000);
    }
    expect(told.length).toBeLessThan(12);
  });

  test('an attack from ten thousand addresses is a handful of messages that say how many', () => {
    const { episodes, told } = watch([rule('r')]);
    for (let i = 0; i < 10_000; i++) episodes.note(signal({ subject: `198.18.${i >> 8}.${i & 255}` }), i);
    expect(told.map(({ state }) => state)).toEqual(Array(MAX_SUBJECTS + 1).fill('firing'));
    expect(told.at(-1)?.subject).toBeNull();
    episodes.advance(10_000 + QUIET_MS);
    expect(told.length).toBe(2 * (MAX_SUBJECTS + 1));
    expect(told.find(({ state, subject }) => state === 'resolved' && subject === null)).toMatchObject({
      sources: 9_990,
      count: 9_990,
    });
  });

  test('a whole /64 is one source', () => {
    const { episodes, told } = watch([rule('r')]);
    for (let i = 1; i < 200; i++) episodes.note(signal({ subject: `2001:db8::${i.toString(16)}` }), i);
    expect(told.map(({ subject }) => subject)).toEqual(['2001:db8::/64']);
  });
});

describe('thresholds of events without a score', () => {
  test('are how many there were in a minute', () => {
    const { episodes, words } = watch([rule('r', { event_type: 'auth_failure', threshold: 3 })]);
    const refused = signal({ event: 'auth_failure', score: null });
    for (const atMs of [0, 1_000, 61_000, 62_000]) episodes.note(refused, atMs);
    expect(words()).toEqual([]);
    episodes.note(refused, 63_000);
    expect(words()).toEqual([['firing', 'r', '203.0.113.7', 1]]);
  });

  test('are counted in bounded memory', () => {
    const { episodes, told } = watch([rule('r', { event_type: 'auth_failure', threshold: 1_000 })]);
    const startedBytes = process.memoryUsage().heapUsed;
    for (let i = 0; i < 300_000; i++) {
      const subject = `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
      episodes.note(signal({ event: 'auth_failure', score: null, subject }), i / 1_000);
    }
    expect(told).toEqual([]);
    Bun.gc(true);
    expect(process.memoryUsage().heapUsed - startedBytes).toBeLessThan(32 * 1_048_576);
  });
});

describe('what is over', () => {
  test('an engine that answers again ends its alert at once, and stays out of order for as long as it does not', () => {
    const { episodes, words } = watch([rule('e', { event_type: 'api_error', threshold: null })]);
    const down = signal({
      event: 'api_error',
      severity: 'high',
      subject: 'engine:gpu',
      isAddress: false,
      score: null,
    });
    episodes.note(down, 0);
    episodes.advance(100 * QUIET_MS);
    episodes.recover('api_error', 'engine:other', 1);
    expect(words()).toEqual([['firing', 'e', 'engine:gpu', 1]]);
    episodes.recover('api_error', 'engine:gpu', 101 * QUIET_MS);
    expect(words().at(-1)).toEqual(['resolved', 'e', 'engine:gpu', 1]);
  });

  test('a ban that is lifted ends its alert; one that stays is not said to be over', () => {
    const { episodes, words } = watch([rule('b', { event_type: 'ban', threshold: null })]);
    const ban = (subject: string) => signal({ event: 'ban', severity: 'high', subject, score: null });
    episodes.note(ban('2001:db8::5'), 0);
    episodes.note(ban('198.51.100.0/24'), 0);
    episodes.recover('ban', '2001:db8::5', 1);
    episodes.advance(QUIET_MS + 1);
    expect(words().map(([state, , subject]) => [state, subject])).toEqual([
      ['firing', '2001:db8::/64'],
      ['firing', '198.51.100.0/24'],
      ['resolved', '2001:db8::/64'],
    ]);
    expect(episodes.nextMs()).toBeNull();
  });

  test('a rule that is off or gone tells nothing more', () => {
    const { episodes, words } = watch([rule('r')]);
    episodes.note(signal(), 0);
    episodes.use([rule('r', { enabled: false })]);
    episodes.note(signal(), 1);
    episodes.advance(QUIET_MS * 2);
    expect(words()).toEqual([['firing', 'r', '203.0.113.7', 1]]);
    expect(episodes.wants('intrusion')).toBe(false);
  });
});
