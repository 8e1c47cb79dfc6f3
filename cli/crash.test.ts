import { expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FlmError, toFlmError } from '../src/lib/errors';
import { testDir } from '../test/support/data-dir';
import { withCrashFile } from './crash';

test('a bug of a command leaves a file that its hint names', async () => {
  using dir = testDir();
  const told = await withCrashFile(toFlmError(new TypeError('not a function')), dir.paths);
  const file = String(told.meta.crashFile);
  expect(told).toMatchObject({ code: 'INTERNAL_ERROR', exit: 2, hint: expect.stringContaining(file) });
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
    kind: 'command',
    error: { name: 'TypeError', message: 'not a function' },
  });
});

test('what is no bug of this command leaves nothing, and none makes a data directory', async () => {
  using dir = testDir();
  const { paths } = dir;
  const known = new FlmError('NO_MODELS');
  const ofServer = new FlmError('INTERNAL_ERROR', { meta: { requestId: 'r' } });
  for (const error of [known, ofServer]) expect(await withCrashFile(error, paths)).toBe(error);
  expect(existsSync(paths.crashDir)).toBe(false);
  const never = { dir: join(paths.dir, 'never'), crashDir: join(paths.dir, 'never', 'crashes') };
  const bug = toFlmError(new Error('x'));
  expect(await withCrashFile(bug, never)).toBe(bug);
  expect(existsSync(never.dir)).toBe(false);
});
