/** Sessions as their owner and a guesser meet them: tokens, ends, the lock-out, and what is put on record. */
import { describe, expect, test } from 'bun:test';
import { openDatabases } from '../../../db';
import { testDir } from '../../../test/support/data-dir';
import { codeOf, errorOf } from '../../../test/support/thrown';
import { type ConfigSnapshot, SETTINGS } from '../../config';
import type { AuditEvent } from '../../contract';
import { manualClock } from '../../lib/clock';
import { FlmError } from '../../lib/errors';
import { createSessionStore, createSessions } from './index';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const visitor = { ip: '127.0.0.1', userAgent: 'a browser' };

async function sessionsIn() {
  const data = testDir();
  const clock = manualClock();
  const db = await openDatabases({ ...data, clock, lockWaitMs: 0 });

  const config = Object.fromEntries(
    Object.entries(SETTINGS).map(([key, setting]) => [key, setting.default]),
  ) as unknown as ConfigSnapshot;
  const events: AuditEvent[] = [];
  let isFull = false;
  const record = (event: AuditEvent) => {
    if (isFull) throw new FlmError('DB_ERROR', { meta: { file: 'security.db', reason: 'the disk is full' } });
    events.push(event);
  };
  const store = createSessionStore(db.security, record);
  const make = () =>
    createSessions({ store, clock, config: () => config, record: async (event) => record(event) });
  return {
    sessions: make(),
    restarted: make,
    store,
    clock,
    events,
    fillDisk: () => {
      isFull = true;
    },
    types: () => events.map(({ type }) => type),
    [Symbol.dispose]() {
      db.close();
      data[Symbol.dispose]();
    },
  };
}

describe('a token', () => {
  test('opens one session and no second one', async () => {
    using it = await sessionsIn();
    const { token } = await it.sessions.issueToken();
    const { secret, session } = await it.sessions.open(token, visitor);
    expect(await it.sessions.identify(secret)).toMatchObject({ kind: 'owner', id: session.id });
    expect(await codeOf(() => it.sessions.open(token, visitor))).toBe('UNAUTHENTICATED');
    expect(it.types()).toEqual(['admin.token_issued', 'admin.session_opened', 'admin.auth_failed']);
  });

  test('is good for five minutes, whatever becomes of the clock on the wall', async () => {
    using it = await sessionsIn();
    const early = await it.sessions.issueToken();
    it.clock.advance(5 * MINUTE_MS - 1);
    const late = await it.sessions.issueToken();
    await it.sessions.open(early.token, visitor);
    it.clock.advance(5 * MINUTE_MS);
    it.clock.setWall(0);
    expect(await codeOf(() => it.sessions.open(late.token, visitor))).toBe('UNAUTHENTICATED');
  });

  test('is nowhere on record, nor is the secret of its session', async () => {
    using it = await sessionsIn();
    const { token } = await it.sessions.issueToken();
    const { secret } = await it.sessions.open(token, visitor);
    const kept = JSON.stringify([it.events, await it.store.list(), await it.sessions.list()]);
    expect(kept).not.toContain(token);
    expect(kept).not.toContain(secret);
  });
});

describe('a session', () => {
  test('may not make sessions', async () => {
    using it = await sessionsIn();
    const { secret } = await it.sessions.open((await it.sessions.issueToken()).token, visitor);
    const { scopes } = await it.sessions.identify(secret);
    expect([scopes.has('keys:write'), scopes.has('admin:write')]).toEqual([true, false]);
  });

  test('survives a restart, ends when it is not used, and ends at last however much it is used', async () => {
    using it = await sessionsIn();
    const idle = await it.sessions.open((await it.sessions.issueToken()).token, visitor);
    const busy = await it.sessions.open((await it.sessions.issueToken()).token, visitor);
    const after = it.restarted();
    for (let used = 0; used < 12 * HOUR_MS - 20 * MINUTE_MS; used += 20 * MINUTE_MS) {
      it.clock.advance(20 * MINUTE_MS);
      await after.identify(busy.secret);
    }
    expect(await codeOf(() => after.identify(idle.secret))).toBe('UNAUTHENTICATED');
    expect((await after.list()).items.map(({ id }) => id)).toEqual([busy.session.id]);
    it.clock.advance(20 * MINUTE_MS);
    expect(await codeOf(() => after.identify(busy.secret))).toBe('UNAUTHENTICATED');
    // Neither was a guess.
    expect(it.types()).not.toContain('admin.auth_failed');
  });

  test('is not made to last by a clock that is set back', async () => {
    using it = await sessionsIn();
    const { secret } = await it.sessions.open((await it.sessions.issueToken()).token, visitor);
    it.clock.setWall(it.clock.nowMs() - HOUR_MS);
    expect(await codeOf(() => it.sessions.identify(secret))).toBe('UNAUTHENTICATED');
  });

  test('is neither opened nor ended where that cannot be put on record', async () => {
    using it = await sessionsIn();
    const { secret, session } = await it.sessions.open((await it.sessions.issueToken()).token, visitor);
    const { token } = await it.sessions.issueToken();
    it.fillDisk();
    expect(await codeOf(() => it.sessions.open(token, visitor))).toBe('DB_ERROR');
    expect(await codeOf(() => it.sessions.close(session.id))).toBe('DB_ERROR');
    expect((await it.sessions.list()).items.map(({ id }) => id)).toEqual([session.id]);
    expect(await it.sessions.identify(secret)).toMatchObject({ id: session.id });
  });

  test('ends when it is closed', async () => {
    using it = await sessionsIn();
    const { secret, session } = await it.sessions.open((await it.sessions.issueToken()).token, visitor);
    expect(await it.sessions.close(session.id)).toEqual({ id: session.id, closed: true });
    expect(await codeOf(() => it.sessions.identify(secret))).toBe('UNAUTHENTICATED');
    expect(await codeOf(() => it.sessions.close(session.id))).toBe('SESSION_NOT_FOUND');
    // A page that goes on asking has not guessed, and must not lock its owner out.
    for (let n = 0; n < 10; n++)
      expect(await codeOf(() => it.sessions.identify(secret))).toBe('UNAUTHENTICATED');
    expect(it.events.at(1)).toMatchObject({ type: 'admin.session_opened', target: `session:${session.id}` });
  });
});

describe('the lock-out', () => {
  test('comes with the fifth failure, grows, and spares a session that is open', async () => {
    using it = await sessionsIn();
    const { secret } = await it.sessions.open((await it.sessions.issueToken()).token, visitor);
    const waits: unknown[] = [];
    for (let round = 0; round < 3; round++) {
      for (let guess = 0; guess < 5; guess++)
        expect(await codeOf(() => it.sessions.identify(`guess ${guess}`))).toBe('UNAUTHENTICATED');
      const locked = await errorOf(() => it.sessions.open('another guess', visitor));
      expect(locked.code).toBe('ADMIN_LOCKED');
      waits.push(locked.meta.seconds);
      expect(await codeOf(() => it.sessions.identify('one more'))).toBe('ADMIN_LOCKED');
      expect(await it.sessions.identify(secret)).toMatchObject({ kind: 'owner' });
      it.clock.advance(Number(locked.meta.seconds) * 1_000);
    }
    expect(waits).toEqual([60, 120, 240]);
    // What comes while nobody may try is not written down: a flood would fill the disk.
    expect(it.types().filter((type) => type === 'admin.auth_failed').length).toBe(15);
    expect(it.types().filter((type) => type === 'admin.locked_out').length).toBe(3);
  });

  test('refuses a good token too, and ends when the owner asks for one', async () => {
    using it = await sessionsIn();
    const { token } = await it.sessions.issueToken();
    for (let guess = 0; guess < 5; guess++) await codeOf(() => it.sessions.open('guess', visitor));
    expect(await codeOf(() => it.sessions.open(token, visitor))).toBe('ADMIN_LOCKED');
    await it.sessions.open((await it.sessions.issueToken()).token, visitor);
  });

  test('does not add up what lies a quarter of an hour apart', async () => {
    using it = await sessionsIn();
    for (let guess = 0; guess < 12; guess++) {
      expect(await codeOf(() => it.sessions.identify('guess'))).toBe('UNAUTHENTICATED');
      it.clock.advance(16 * MINUTE_MS);
    }
  });
});
