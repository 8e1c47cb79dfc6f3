/** One process per data directory, held by the kernel: a second is refused, and a killed one leaves nothing behind. */
import { describe, expect, test } from 'bun:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestDir, testDir } from '../test/support/data-dir';
import { codeOf, errorOf } from '../test/support/thrown';
import { acquireLock } from './lock';

const acquire = (data: TestDir, waitMs = 0) => acquireLock(data.paths.lockDb, data.dir, waitMs, null);

/** Another process that takes the lock, says `locked` or the code of its error, and holds on until it is ended. */
function startOther(data: TestDir, waitMs: number) {
  const code = `
    const { acquireLock } = await import(${JSON.stringify(join(import.meta.dir, 'lock.ts'))});
    console.log('started');
    try {
      acquireLock(${JSON.stringify(data.paths.lockDb)}, ${JSON.stringify(data.dir)}, ${waitMs}, null);
      console.log('locked');
      for await (const _ of console) break;
    } catch (error) {
      console.log(error.code);
    }`;
  const child = Bun.spawn([process.execPath, '-e', code], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const reader = child.stdout.getReader();
  let buffered = '';
  return {
    child,
    async line(): Promise<string> {
      while (!buffered.includes('\n')) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`the other process ended: ${buffered}`);
        buffered += Buffer.from(value).toString();
      }
      const [first = ''] = buffered.split('\n', 1);
      buffered = buffered.slice(first.length + 1);
      return first;
    },
  };
}

describe('the lock', () => {
  test('is held by one at a time, also within one process', async () => {
    using data = testDir();
    const lock = acquire(data);
    const error = await errorOf(() => acquire(data));
    expect([error.code, error.exit]).toEqual(['DB_LOCKED', 1]);
    expect(error.message).toContain(data.dir);
    lock.release();
    lock.release();
    acquire(data).release();
  });

  test('refuses a second process while the first lives, and is free once it is killed', async () => {
    using data = testDir();
    const other = startOther(data, 0);
    expect([await other.line(), await other.line()]).toEqual(['started', 'locked']);
    expect(await codeOf(() => acquire(data))).toBe('DB_LOCKED');
    other.child.kill('SIGKILL');
    await other.child.exited;
    acquire(data).release();
  });

  test('refuses another process while this one has it', async () => {
    using data = testDir();
    const lock = acquire(data);
    const other = startOther(data, 0);
    expect([await other.line(), await other.line()]).toEqual(['started', 'DB_LOCKED']);
    await other.child.exited;
    lock.release();
  });

  test('goes to one that waits for it', async () => {
    using data = testDir();
    const lock = acquire(data);
    const other = startOther(data, 15_000);
    expect(await other.line()).toBe('started');
    lock.release();
    expect(await other.line()).toBe('locked');
    other.child.kill();
    await other.child.exited;
  });

  test('is free after every one of several deaths', async () => {
    using data = testDir();
    for (let death = 0; death < 3; death++) {
      const other = startOther(data, 0);
      await other.line();
      expect(await other.line()).toBe('locked');
      other.child.kill('SIGKILL');
      await other.child.exited;
    }
    acquire(data).release();
  });

  test('is made anew out of a file that is no database, and keeps others out as ever', async () => {
    using data = testDir();
    writeFileSync(data.paths.lockDb, 'this is no database at all'.repeat(50));
    const lock = acquire(data);
    const other = startOther(data, 0);
    expect([await other.line(), await other.line()]).toEqual(['started', 'DB_LOCKED']);
    await other.child.exited;
    lock.release();
  });

  test('stays with its owner when somebody writes garbage into it meanwhile', async () => {
    using data = testDir();
    const other = startOther(data, 0);
    expect([await other.line(), await other.line()]).toEqual(['started', 'locked']);
    writeFileSync(data.paths.lockDb, 'this is no database at all'.repeat(50));
    expect(await codeOf(() => acquire(data))).toBe('DB_LOCKED');
    other.child.kill('SIGKILL');
    await other.child.exited;
    acquire(data).release();
  });

  test('that is a directory is DB_ERROR, with what to do', async () => {
    using data = testDir();
    mkdirSync(data.paths.lockDb);
    const error = await errorOf(() => acquire(data));
    expect([error.code, error.hint]).toEqual(['DB_ERROR', expect.stringContaining('can be removed')]);
  });
});
