import { expect, test } from 'bun:test';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testDir } from '../../test/support/data-dir';
import { manualClock } from '../lib/clock';
import { writeCrashFile } from './crash';

const KEY = `flm_abcdefgh${'S'.repeat(38)}`;

function optionsIn(dir: ReturnType<typeof testDir>) {
  const clock = manualClock();
  return { crashDir: dir.paths.crashDir, version: '0.1.0', clock, facts: () => ({ requests: 3 }) };
}

test('a crash file says where, and nothing of what was worked on', () => {
  using dir = testDir();
  let broken: unknown;
  try {
    JSON.parse('{"prompt": secret-prompt}');
  } catch (error) {
    broken = error;
  }
  const thrown = Object.assign(new Error(`no way with ${KEY}`, { cause: broken }), { body: 'secret-prompt' });
  const path = writeCrashFile(optionsIn(dir), 'uncaughtException', thrown) ?? '';
  const text = readFileSync(path, 'utf8');
  expect(JSON.parse(text)).toMatchObject({
    kind: 'uncaughtException',
    version: '0.1.0',
    pid: process.pid,
    facts: { requests: 3 },
    error: {
      name: 'Error',
      message: 'no way with flm_abcdefgh[redacted]',
      stack: expect.arrayContaining([expect.stringContaining('crash.test.ts')]),
      cause: { name: 'SyntaxError', message: null },
    },
  });
  for (const secret of ['secret-prompt', 'SSSS']) expect(text).not.toContain(secret);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('what was thrown and is no error leaves no more than its type', () => {
  using dir = testDir();
  const path = writeCrashFile(optionsIn(dir), 'unhandledRejection', 'a prompt') ?? '';
  const report = JSON.parse(readFileSync(path, 'utf8'));
  expect(report.error).toEqual({ name: 'string' });
});

test('the last twenty are kept', () => {
  using dir = testDir();
  const options = optionsIn(dir);
  for (let each = 0; each < 25; each++) {
    options.clock.advance(1_000);
    expect(writeCrashFile(options, 'uncaughtException', new Error(String(each)))).not.toBeNull();
  }
  const files = readdirSync(dir.paths.crashDir).toSorted();
  expect(files.length).toBe(20);
  expect(readFileSync(`${dir.paths.crashDir}/${files[0]}`, 'utf8')).toContain('"message": "5"');
});

test('numbers that cannot be told, and a place that cannot be written, are no second crash', () => {
  using dir = testDir();
  const options = {
    ...optionsIn(dir),
    facts: () => {
      throw new Error('gone');
    },
  };
  const path = writeCrashFile(options, 'uncaughtException', new Error('x')) ?? '';
  expect(JSON.parse(readFileSync(path, 'utf8')).facts).toBe('gone');
  writeFileSync(`${dir.paths.dir}/file`, '');
  expect(writeCrashFile({ ...options, crashDir: `${dir.paths.dir}/file` }, 'x', null)).toBeNull();
});

/** A process that installs the handler and then breaks down in its own way. */
async function breakDown(dir: ReturnType<typeof testDir>, how: string) {
  const script = `
    import { installCrashHandler } from ${JSON.stringify(join(import.meta.dir, 'index.ts'))};
    import { systemClock } from ${JSON.stringify(join(import.meta.dir, '..', 'lib', 'clock.ts'))};
    const log = { error: (message, fields) => console.error(message, fields.kind, fields.file) };
    installCrashHandler({
      crashDir: ${JSON.stringify(dir.paths.crashDir)}, version: '0.1.0', clock: systemClock, log,
      facts: () => ({}), exit: (code) => process.exit(code),
    });
    setInterval(() => {}, 1000);
    ${how}
  `;
  const child = Bun.spawn([process.execPath, '-e', script], {
    stdout: 'pipe',
    stderr: 'pipe',
    env: { SECRET_ENV: 'env-secret' },
  });
  const said = await new Response(child.stderr).text();
  return { code: await child.exited, said };
}

test.each([
  ['uncaughtException', `setTimeout(() => { throw new Error('out of nowhere'); }, 1);`],
  ['unhandledRejection', `Promise.reject(new Error('out of nowhere'));`],
])('what nobody catches (%s) leaves a file and ends the process with code 2', async (kind, how) => {
  using dir = testDir();
  const { code, said } = await breakDown(dir, how);
  expect(code).toBe(2);
  const [file = ''] = readdirSync(dir.paths.crashDir);
  expect(said).toContain(`FLM broke down ${kind} ${join(dir.paths.crashDir, file)}`);
  const text = readFileSync(join(dir.paths.crashDir, file), 'utf8');
  expect(JSON.parse(text)).toMatchObject({ kind, error: { message: 'out of nowhere' } });
  expect(text).not.toContain('env-secret');
});
