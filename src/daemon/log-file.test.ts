/** The background log stays small and private. */
import { expect, test } from 'bun:test';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { testDir } from '../../test/support/data-dir';
import { logPathIn, openLogFile } from './log-file';

test('keeps the newest lines in two files of bounded size that only the owner can read', () => {
  using data = testDir();
  const write = openLogFile(data.paths.logsDir, 100);
  for (let n = 10; n < 60; n++) write(`line ${n}\n`);
  const path = logPathIn(data.paths.logsDir);
  const both = readFileSync(`${path}.1`, 'utf8') + readFileSync(path, 'utf8');
  expect(both).toEndWith('line 58\nline 59\n');
  expect(both.length).toBeLessThanOrEqual(200);
  expect([data.paths.logsDir, path, `${path}.1`].map((file) => statSync(file).mode & 0o077)).toEqual([
    0, 0, 0,
  ]);
});

test('goes on when nothing can be written', () => {
  using data = testDir();
  const write = openLogFile(data.paths.logsDir);
  rmSync(data.paths.logsDir, { recursive: true });
  expect(() => write('lost\n')).not.toThrow();
});
