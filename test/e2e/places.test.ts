/** Where FLM is started and where it keeps its files: odd paths, forbidden ones, and what lies about there. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Status } from '../../src/admin';
import type { Env } from '../../src/lib/paths';
import { pathsIn } from '../../src/lib/paths';
import { startFake } from '../fake';
import { chat } from '../support/client';
import { dataOf, errorOf, executable, flm, leftovers, parseResult, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { isImpossible, lacksProgram } from '../support/missing';

setDefaultTimeout(20_000);
afterAll(() => expect(leftovers()).toEqual([]));

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'flm-places-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function envIn(dir: string, extra: Env = {}): Env {
  const { env, [Symbol.dispose]: dispose } = testHome(extra);
  dispose();
  return { ...env, HOME: root, FLM_DATA_DIR: dir };
}

/** Starts it there, uses it, stops it; then uses it without. */
async function worksIn(
  env: Env,
  options: { readonly prefix?: readonly string[]; readonly cwd?: string } = {},
) {
  const fake = await startFake('llamacpp', { models: ['places-model'] });
  const running = await startFlm(env, ['--port', '0'], options);
  await dataOf(env, ['engines', 'add', '--url', fake.url]);
  expect(await dataOf(env, ['status'])).toMatchObject({ running: true, pid: running.pid });
  expect((await chat(running.url, { key: running.key, model: 'places-model' })).status).toBe(200);
  expect(await running.stop()).toBe(0);
  expect(await dataOf(env, ['check'], options)).toMatchObject({ status: 'ok' });
  await fake.close();
}

describe('a data directory', () => {
  test.each([
    ['with blanks', 'my data dir'],
    ['with a quote and a dollar', `it's $HOME "here"`],
    ['with other scripts', 'Größe/данные/日本語/👋'],
    ['with a leading dash', '-rf'],
    ['with a percent sign and a question mark', '100%25?x=1#y'],
    ['with 150 characters, more than a socket takes', `${'d'.repeat(75)}/${'e'.repeat(75)}`],
  ])('%s', async (_, name) => {
    const dir = join(root, name);
    await worksIn(envIn(dir));
    expect(readdirSync(dir, { recursive: true }).filter((file) => String(file).includes('.sock'))).toEqual(
      [],
    );
    // The socket of a deep one is elsewhere, and is gone as well.
    expect(existsSync(pathsIn(dir).adminSocket)).toBe(false);
  });

  test('that is relative is one below the current directory', async () => {
    const cwd = join(root, 'cwd');
    mkdirSync(cwd);
    const env = envIn('relative');
    await flm(env, ['config', 'list'], { cwd });
    expect(existsSync(join(cwd, 'relative', 'config.db'))).toBe(true);
  });

  test('that is a file is refused', async () => {
    const file = join(root, 'file');
    writeFileSync(file, '');
    for (const words of [
      ['up', '--port', '0'],
      ['config', 'list'],
      ['api-keys', 'create', '--label', 'x'],
    ]) {
      const error = await errorOf(envIn(file), words);
      expect(error).toMatchObject({ code: 'IO_ERROR', exit: 2 });
      expect(error.message).toContain(file);
    }
  });

  // Permissions do not hold the superuser back.
  const readOnly = isRoot ? lacksProgram('setpriv') : null;
  test.skipIf(isImpossible('a data directory without write permission', readOnly))(
    'that is read-only is refused',
    async () => {
      const dir = join(root, 'read-only');
      mkdirSync(dir);
      const prefix = isRoot ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : [];
      if (isRoot) for (const path of [root, dir]) chownSync(path, NOBODY, NOBODY);
      chmodSync(dir, 0o500);
      const inside = join(dir, 'data');
      const error = await errorOf(envIn(inside), ['up', '--port', '0'], { prefix, cwd: root });
      expect(error).toMatchObject({ code: 'IO_ERROR', exit: 2 });
      expect(error.message).toContain(inside);
      expect(error.hint).toContain('permissions');

      if (!isRoot) return;
      for (const path of [root, dir]) chownSync(path, 0, 0);
      chmodSync(root, 0o755);
      // One that belongs to somebody else.
      const others = join(root, 'of-others');
      mkdirSync(others);
      expect(await errorOf(envIn(others), ['config', 'list'], { prefix, cwd: '/' })).toMatchObject({
        code: 'IO_ERROR',
        message: expect.stringContaining(others),
      });
    },
  );
});

/** Why nothing can be mounted here, or null. */
async function cannotMount(): Promise<string | null> {
  const lacking = lacksProgram('unshare');
  if (lacking !== null) return lacking;
  const dir = mkdtempSync(join(tmpdir(), 'flm-mount-'));
  const trying = Bun.spawn(mounted('noexec', dir, ['true']), { stderr: 'ignore' });
  const failed = (await trying.exited) !== 0;
  rmSync(dir, { recursive: true });
  return failed ? 'this user may not mount a file system' : null;
}

/** Becomes `command`, to which `dir` is an empty file system: nothing there can be run, or nothing can be written. */
function mounted(how: 'noexec' | 'ro', dir: string, command: readonly string[] = []): string[] {
  const script = `mount -t tmpfs -o ${how} tmpfs "$0" && exec "$@"`;
  return ['unshare', '-m', 'sh', '-c', script, dir, ...command];
}

describe.skipIf(isImpossible('file systems mounted noexec and read-only', await cannotMount()))(
  'a mount',
  () => {
    test('that is noexec does not matter for temporary files', async () => {
      const temporary = join(root, 'noexec-tmp');
      mkdirSync(temporary);
      const prefix = mounted('noexec', temporary);
      // That it is one: a program there cannot be started.
      const script = 'cp "$(command -v ls)" "$TMPDIR/ls" && "$TMPDIR/ls"';
      const probe = Bun.spawn([...prefix, 'sh', '-c', script], {
        env: { ...process.env, TMPDIR: temporary },
        stderr: 'ignore',
      });
      expect(await probe.exited).toBe(126);
      await worksIn(envIn(join(root, 'data-of-noexec-tmp'), { TMPDIR: temporary }), { prefix });
    });

    test.each([
      ['noexec', 'lib'],
      ['ro', ''],
    ] as const)('that is %s is a clear error for the data directory', async (how, inside) => {
      const dir = join(root, `${how}-data`);
      mkdirSync(dir);
      const error = await errorOf(envIn(dir), ['up', '--port', '0'], {
        prefix: mounted(how, dir),
        cwd: root,
      });
      expect(error).toMatchObject({ code: 'IO_ERROR', exit: 2 });
      expect(error.message).toContain(join(dir, inside));
    });
  },
);

describe('the current directory', () => {
  test('with a .env, a bunfig.toml and a package.json of somebody else changes nothing', async () => {
    const cwd = join(root, 'project');
    mkdirSync(cwd);
    const mark = join(cwd, 'it-ran');
    const evil = `require('node:fs').writeFileSync(${JSON.stringify(mark)}, '');\n`;
    writeFileSync(join(cwd, 'evil.ts'), evil);
    writeFileSync(join(cwd, 'bunfig.toml'), 'preload = ["./evil.ts"]\n[run]\npreload = ["./evil.ts"]\n');
    writeFileSync(join(cwd, 'package.json'), '{"name":"x","type":"commonjs","bin":{"flm":"./evil.ts"}}');
    writeFileSync(join(cwd, 'tsconfig.json'), '{"compilerOptions":{"paths":{"*":["./evil.ts"]}}}');
    for (const name of ['.env', '.env.local', '.env.production', '.env.development'])
      writeFileSync(join(cwd, name), 'FLM_PROXY_PORT=4711\nFLM_LOG_LEVEL=debug\nFLM_DATABASE_PASSPHRASE=x\n');
    const env = envIn(join(root, 'data-of-project'));
    expect(await dataOf(env, ['config', 'get', 'proxy.port'], { cwd })).toMatchObject({
      value: '8080',
      source: 'default',
    });
    await worksIn(env, { cwd });
    expect(await dataOf(env, ['config', 'get', 'log.level'], { cwd })).toMatchObject({ source: 'default' });
    expect(existsSync(mark)).toBe(false);
  });

  test('may be any', async () => {
    await worksIn(envIn(join(root, 'data-of-nowhere')), { cwd: '/' });
  });
});

describe('the executable itself', () => {
  test('runs under another name, through a link, and from a path with blanks', async () => {
    const bin = join(root, 'my programs');
    mkdirSync(bin);
    const link = join(bin, 'flm two');
    const linked = Bun.spawn(['ln', '-s', await executable(), link]);
    await linked.exited;
    const child = Bun.spawn([link, 'version', '--json'], {
      env: envIn(join(root, 'data-of-link')),
      cwd: root,
      stdout: 'pipe',
    });
    expect(await new Response(child.stdout).json()).toEqual({ version: '1.0', data: { version: '0.1.0' } });
  });

  test('answers version without touching anything', async () => {
    const dir = join(root, 'untouched');
    for (const words of [
      ['version'],
      ['--version'],
      ['-V'],
      ['--help'],
      ['up', '--help'],
      ['completions', 'bash'],
    ])
      expect((await flm(envIn(dir), words, { cwd: root })).code).toBe(0);
    expect(existsSync(dir)).toBe(false);
  });

  test('is not made by looking at it, and what is said of nothing is what is said of an FLM that rests', async () => {
    const dir = join(root, 'looked-at');
    const look = async () => await flm(envIn(dir), ['status'], { cwd: root });
    const first = await look();
    expect(first.code).toBe(1);
    expect(existsSync(dir)).toBe(false);
    mkdirSync(dir, { mode: 0o700 });
    expect(await look()).toEqual(first);
    expect(readdirSync(dir)).toEqual([]);
    // Now there is one, which says the same but for its key.
    expect((await flm(envIn(dir), ['engines', 'list'], { cwd: root })).code).toBe(0);
    expect(parseResult(first.stdout)).toEqual({
      ...(parseResult((await look()).stdout) as Status),
      security_db_key: null,
    });
  });

  test('works without a home directory, and without any environment but its own', async () => {
    const env = {
      FLM_DATA_DIR: join(root, 'bare'),
      FLM_DISABLE_KEYRING: '1',
      FLM_ENGINE_DETECT: 'false',
      FLM_ADMIN_PORT: '0',
    };
    const running = await startFlm(env);
    expect(await dataOf(env, ['status'])).toMatchObject({ running: true });
    expect(await running.stop()).toBe(0);
  });

  test('keeps its files where the platform has them, when it is not told', async () => {
    const home = join(root, 'a-home');
    const env = { HOME: home, PATH: process.env.PATH, FLM_DISABLE_KEYRING: '1' };
    // Exit code 1, because nothing runs there; the answer is the same.
    const statusOf = async (own: Env) => parseResult((await flm(own, ['status'], { cwd: root })).stdout);
    const expected = process.platform === 'darwin' ? 'Library/Application Support/flm' : '.local/share/flm';
    expect(await statusOf(env)).toMatchObject({ data_dir: join(home, expected) });
    const xdg = join(root, 'xdg');
    if (process.platform === 'linux')
      expect(await statusOf({ ...env, XDG_DATA_HOME: xdg })).toMatchObject({ data_dir: join(xdg, 'flm') });
  });
});
