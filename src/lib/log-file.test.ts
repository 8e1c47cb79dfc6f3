import { describe, expect, test } from 'bun:test';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { testDir } from '../../test/support/data-dir';
import { eventually } from '../../test/support/eventually';
import { manualClock } from './clock';
import { type Log, silentLog } from './log';
import { type LogFileLimits, openLogFile } from './log-file';

const DAY_MS = 86_400_000;

function setUp(limits: Partial<LogFileLimits> = {}) {
  const dir = testDir();
  const logs = join(dir.paths.dir, 'logs');
  const path = join(logs, 'requests.log');
  const told: string[] = [];
  const tell = (message: string) => void told.push(message);
  const log: Log = { ...silentLog, error: tell, info: tell };
  const clock = manualClock(Date.now());
  const all = { maxBytes: 1_000_000, maxAgeMs: DAY_MS, keepFiles: 3, ...limits };
  const open = () => openLogFile({ path, limits: () => all, clock, log });
  const aside = () => readdirSync(logs).filter((name) => name !== 'requests.log');
  return { dir, logs, path, told, clock, open, aside };
}

describe('a log file', () => {
  test('of two processes holds the lines of both, and whoever has no limits follows the other to a new file', async () => {
    const { dir, path, aside, open, clock } = setUp({ maxBytes: 100 });
    using _ = dir;
    const server = open();
    const supervisor = openLogFile({
      path,
      limits: () => ({ maxBytes: Infinity, maxAgeMs: Infinity, keepFiles: 0 }),
      clock,
      log: silentLog,
    });
    const has = (line: string) =>
      eventually(() => existsSync(path) && readFileSync(path, 'utf8').includes(line));
    server.write(`server ${'x'.repeat(60)}\n`);
    await has('server');
    supervisor.write(`supervisor ${'y'.repeat(60)}\n`);
    await has('supervisor');
    expect(aside()).toEqual([]);
    server.write('server goes on\n');
    await has('server goes on');
    expect(aside()).toHaveLength(1);
    supervisor.write('supervisor, too\n');
    await has('supervisor, too');
    expect(readFileSync(path, 'utf8')).toBe('server goes on\nsupervisor, too\n');
    expect(aside()).toHaveLength(1);
    await Promise.all([server.close(), supervisor.close()]);
  });

  test('has the last words of a process that ends at once', async () => {
    const { dir, logs, path, open } = setUp();
    using _ = dir;
    mkdirSync(logs, { mode: 0o700 });
    const file = open();
    file.write('FLM broke down\n');
    file.writeNow();
    expect(readFileSync(path, 'utf8')).toBe('FLM broke down\n');
    rmSync(logs, { recursive: true });
    file.write('lost\n');
    expect(() => file.writeNow()).not.toThrow();
    expect(file.counts()).toEqual({ written: 1, lost: 1 });
    await file.close();
  });

  test('takes lines in their order, for its owner alone', async () => {
    const { dir, logs, path, open } = setUp();
    using _ = dir;
    const file = open();
    const lines = Array.from({ length: 1_000 }, (_each, index) => `line ${index}\n`);
    for (const line of lines) file.write(line);
    expect(existsSync(path)).toBe(false); // Nobody waited for the disk.
    await file.close();
    expect(readFileSync(path, 'utf8')).toBe(lines.join(''));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(logs).mode & 0o777).toBe(0o700);
    expect(file.counts()).toEqual({ written: 1_000, lost: 0 });
  });

  test('goes on where an earlier one ended, and takes its permissions back', async () => {
    const { dir, logs, path, open } = setUp();
    using _ = dir;
    mkdirSync(logs, { recursive: true, mode: 0o700 });
    writeFileSync(path, 'before\n');
    chmodSync(path, 0o644);
    const file = open();
    file.write('after\n');
    await file.close();
    expect(readFileSync(path, 'utf8')).toBe('before\nafter\n');
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('is set aside when it is large, and the oldest are removed', async () => {
    const { dir, path, clock, open, aside } = setUp({ maxBytes: 10, keepFiles: 2 });
    using _ = dir;
    for (let each = 0; each < 5; each++) {
      const file = open();
      file.write(`number ${each} is long\n`);
      await file.close();
      clock.advance(1_000);
    }
    expect(aside().length).toBe(2);
    expect(readFileSync(path, 'utf8')).toBe('number 4 is long\n');
    expect(aside().every((name) => /^requests-\d{4}-\d\d-\d\dT[\d-]+\.\d{3}Z\.log$/.test(name))).toBe(true);
  });

  test('that is set aside twice in one moment replaces nothing', async () => {
    const { dir, open, aside } = setUp({ maxBytes: 1 });
    using _ = dir;
    for (let each = 0; each < 3; each++) {
      const file = open();
      file.write(`${each}\n`);
      await file.close();
    }
    expect(aside().length).toBe(2);
  });

  test('is set aside when it is old', async () => {
    const { dir, path, clock, open, aside } = setUp();
    using _ = dir;
    const first = open();
    first.write('old\n');
    await first.close();
    clock.advance(DAY_MS + 60_000);
    const second = open();
    second.write('new\n');
    await second.close();
    expect(readFileSync(path, 'utf8')).toBe('new\n');
    expect(aside().length).toBe(1);
  });

  test('is made anew when somebody took it away', async () => {
    const { dir, path, open } = setUp();
    using _ = dir;
    const file = open();
    file.write('one\n');
    await until(() => existsSync(path) && readFileSync(path, 'utf8') === 'one\n');
    renameSync(path, `${path}.taken`);
    file.write('two\n');
    await file.close();
    expect(readFileSync(path, 'utf8')).toBe('two\n');
  });

  test.skipIf(!existsSync('/dev/full'))(
    'on a full disk loses lines, counts them and says so once',
    async () => {
      const { dir, logs, path, told, open } = setUp();
      using _ = dir;
      mkdirSync(logs, { recursive: true, mode: 0o700 });
      symlinkSync('/dev/full', path);
      const file = open();
      file.write('one\n');
      await until(() => file.counts().lost === 1);
      file.write('two\n');
      await file.close();
      expect(file.counts()).toEqual({ written: 0, lost: 2 });
      expect(told).toEqual(['a log file cannot be written: lines are lost']);
    },
  );

  test('that cannot be opened loses lines, and goes on when it can', async () => {
    const { dir, logs, path, told, open } = setUp();
    using _ = dir;
    writeFileSync(logs, 'a file where a directory should be');
    const file = open();
    file.write('one\n');
    await until(() => file.counts().lost === 1);
    renameSync(logs, `${logs}.away`);
    file.write('two\n');
    await file.close();
    expect(readFileSync(path, 'utf8')).toBe('two\n');
    expect(told.length).toBe(2);
  });

  test('does not fill the memory when nothing is taken', async () => {
    const { dir, open } = setUp();
    using _ = dir;
    const file = open();
    const line = `${'x'.repeat(1_048_575)}\n`;
    for (let each = 0; each < 12; each++) file.write(line);
    expect(file.counts().lost).toBe(4);
    await file.close();
    expect(file.counts().written).toBe(8);
  });
});

async function until(done: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!done() && performance.now() < deadline) await Bun.sleep(5);
  expect(done()).toBe(true);
}
