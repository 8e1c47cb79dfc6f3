/** Bans by the clock: they end by themselves, and no clock that somebody sets makes them shorter or longer. */
import { describe, expect, test } from 'bun:test';
import { type ManualClock, manualClock } from '../lib/clock';
import { type Ban, createBans, storedBan } from './bans';
import { type Network, parseNetwork } from './networks';

const HOUR_MS = 3_600_000;

function network(text: string): Network {
  const found = parseNetwork(text);
  if (found === null) throw new Error(text);
  return found;
}

function banned(clock: ManualClock, lengthMs: number | null, text = '203.0.113.7') {
  const bans = createBans(clock, 100);
  const { ban } = bans.put({
    network: network(text),
    isAutomatic: true,
    reason: 'r',
    lengthMs,
    bannedBy: 'flm',
  });
  return { bans, ban };
}

describe('while FLM runs', () => {
  test('a ban ends after its length, by itself', () => {
    const clock = manualClock();
    const { bans } = banned(clock, HOUR_MS);
    clock.advance(HOUR_MS - 1);
    expect(bans.automatic('203.0.113.7')).not.toBeNull();
    clock.advance(1);
    expect(bans.automatic('203.0.113.7')).toBeNull();
    expect(bans.expire()).toHaveLength(1);
    expect(bans.all()).toEqual([]);
  });

  test.each([
    ['back', -10 * HOUR_MS],
    ['ahead', 10 * HOUR_MS],
  ])('a wall clock that is set %s changes nothing', (_, jumpMs) => {
    const clock = manualClock();
    const { bans } = banned(clock, HOUR_MS);
    clock.setWall(clock.nowMs() + jumpMs);
    expect(bans.automatic('203.0.113.7')).not.toBeNull();
    clock.advance(HOUR_MS);
    expect(bans.automatic('203.0.113.7')).toBeNull();
  });

  test('one without a length stays', () => {
    const clock = manualClock();
    const { bans } = banned(clock, null);
    clock.advance(1_000 * 24 * HOUR_MS);
    expect(bans.automatic('203.0.113.7')).not.toBeNull();
    expect(bans.expire()).toEqual([]);
  });

  test('a narrow ban of the owner that has ended hides no wider one', () => {
    const clock = manualClock();
    const bans = createBans(clock, 10);
    const owner = { isAutomatic: false, reason: 'r', bannedBy: 'owner' };
    bans.put({ ...owner, network: network('10.0.0.0/8'), lengthMs: null });
    bans.put({ ...owner, network: network('10.1.0.0/16'), lengthMs: 1_000 });
    expect(bans.manual(network('10.1.2.3'))?.network.text).toBe('10.1.0.0/16');
    clock.advance(1_000);
    expect(bans.manual(network('10.1.2.3'))?.network.text).toBe('10.0.0.0/8');
  });
});

describe('across a restart', () => {
  function restarted(ban: Ban, before: ManualClock, passedMs: number) {
    const stored = storedBan(ban, before);
    const clock = manualClock(before.nowMs() + passedMs);
    const bans = createBans(clock, 100);
    bans.restore(stored);
    return { bans, clock };
  }

  test('the rest of it is left', () => {
    const before = manualClock();
    const { ban } = banned(before, HOUR_MS);
    before.advance(HOUR_MS / 4);
    const { bans, clock } = restarted(ban, before, HOUR_MS / 4);
    clock.advance(HOUR_MS / 2 - 1);
    expect(bans.automatic('203.0.113.7')).not.toBeNull();
    clock.advance(1);
    expect(bans.automatic('203.0.113.7')).toBeNull();
  });

  test('one that ended meanwhile is gone', () => {
    const before = manualClock();
    const { ban } = banned(before, HOUR_MS);
    expect(restarted(ban, before, HOUR_MS).bans.all()).toEqual([]);
  });

  test('a clock that was set back meanwhile makes it no longer than it is', () => {
    const before = manualClock();
    const { ban } = banned(before, HOUR_MS);
    const { bans, clock } = restarted(ban, before, -1_000 * HOUR_MS);
    clock.advance(HOUR_MS - 1);
    expect(bans.automatic('203.0.113.7')).not.toBeNull();
    clock.advance(1);
    expect(bans.automatic('203.0.113.7')).toBeNull();
  });

  test('a clock that was set back while FLM ran does not make it longer than what was left', () => {
    const before = manualClock();
    const { ban } = banned(before, HOUR_MS);
    before.advance(HOUR_MS / 2);
    before.setWall(before.nowMs() - 100 * HOUR_MS);
    // What is written is by the clock as it is now.
    const { bans, clock } = restarted(ban, before, 0);
    clock.advance(HOUR_MS / 2 - 1);
    expect(bans.automatic('203.0.113.7')).not.toBeNull();
    clock.advance(1);
    expect(bans.automatic('203.0.113.7')).toBeNull();
  });

  test('what is no network is passed over', () => {
    const bans = createBans(manualClock(), 10);
    const stored = { isAutomatic: true, reason: 'r', bannedAtMs: 0, untilMs: null, bannedBy: 'flm' };
    expect(bans.restore({ ...stored, network: 'nonsense' })).toBeNull();
  });
});

test('there are never more automatic ones than there is room for; those go that would end first', () => {
  const clock = manualClock();
  const bans = createBans(clock, 40);
  const gone: string[] = [];
  for (let n = 0; n < 100; n++) {
    const lengthMs = n < 10 ? null : n * 1_000;
    const { displaced } = bans.put({
      network: network(`10.0.0.${n}`),
      isAutomatic: true,
      reason: 'r',
      lengthMs,
      bannedBy: 'flm',
    });
    gone.push(...displaced.map((ban) => ban.network.text));
    expect(bans.automaticCount).toBeLessThanOrEqual(40);
  }
  expect(gone).toHaveLength(60);
  // Those without an end stay to the last.
  for (let n = 0; n < 10; n++) expect(bans.automatic(`10.0.0.${n}`)).not.toBeNull();
});
