/** The npm package: packed, installed into an empty project of somebody with an empty home, and run from there. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import type { Env } from '../../src/lib/paths';
import { startFake } from '../fake';
import { chat } from '../support/client';
import { parseResult, REPOSITORY } from '../support/executable';
import { isMissing } from '../support/missing';
import { type Collected, collect, firstLine } from '../support/output';
import { freePort } from '../support/ports';
import { processesWith } from '../support/processes';

setDefaultTimeout(60_000);

const root = mkdtempSync(join(tmpdir(), 'flm-bunx-'));
const project = join(root, 'project');
const tarball = join(root, `flm-${packageJson.version}.tgz`);

const env: Env = {
  // Of all there is on the PATH, the package may need Bun alone.
  PATH: join(process.execPath, '..'),
  HOME: join(root, 'home'),
  FLM_DISABLE_KEYRING: '1',
  FLM_ENGINE_DETECT: 'false',
  FLM_ADMIN_PORT: String(await freePort()),
  // What was downloaded once need not be again; nothing of it is on anybody's path.
  BUN_INSTALL_CACHE_DIR: join(REPOSITORY, 'node_modules', '.cache', 'flm', 'bun'),
};

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(words: readonly string[], cwd: string, environment: Env = env): Promise<Ran> {
  const child = Bun.spawn([...words], {
    cwd,
    env: environment,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}

const bunx = (...words: string[]) => run([process.execPath, 'x', '--bun', 'flm', ...words], project);

/** Packs and installs it. Returns why that is not possible here: without a registry there are no dependencies. */
async function install(): Promise<string | null> {
  for (const dir of ['project', 'home']) mkdirSync(join(root, dir));
  const packed = await run([process.execPath, 'pm', 'pack', '--destination', root], REPOSITORY, process.env);
  if (packed.code !== 0) throw new Error(packed.stderr);
  writeFileSync(join(project, 'package.json'), '{}');
  const { code, stderr } = await run([process.execPath, 'add', tarball], project);
  if (code === 0) return null;
  if (!/ConnectionRefused|FailedToOpenSocket|failed to resolve|GET https?:\/\//i.test(stderr))
    throw new Error(stderr);
  return `the registry cannot be reached: ${stderr.trim().split('\n').at(-1)}`;
}

const missing = isMissing('the npm package', await install());

afterAll(() => {
  expect(processesWith(root)).toEqual([]);
  rmSync(root, { recursive: true, force: true });
});

describe('the tarball', () => {
  let files: string[];
  beforeAll(async () => {
    const { stdout } = await run(['tar', 'tzf', tarball], root, process.env);
    files = stdout.trim().split('\n');
  });

  test('holds the built scripts, the papers, and nothing else', () => {
    const built =
      /^package\/dist\/npm\/(?:(?:flm|activity\/worker|app\/check-worker|chunk-\w+|swagger-ui-bundle-\w+)\.js|swagger-ui-\w+\.css)$/;
    const others = files.filter((file) => !built.test(file)).sort();
    const papers = ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'].map((name) => `package/${name}`);
    expect(others).toEqual(papers);
    expect(files).toContain(`package/${packageJson.bin.flm}`);
  });

  test('holds no test, no secret, no path of the machine it was packed on', async () => {
    expect(files.filter((file) => /test|spec|fake|golden|\.env|\.key|\.db/i.test(file))).toEqual([]);
    const { stdout } = await run(['tar', 'xzOf', tarball], root, process.env);
    expect(stdout.length).toBeGreaterThan(100_000);
    expect(stdout).not.toContain(REPOSITORY);
    expect(stdout).not.toContain('bun:test');
    expect(stdout).not.toMatch(/flm_[0-9A-Za-z]{46}/);
  });
});

describe.skipIf(missing)('installed', () => {
  test('brings the dependencies it declares, and theirs', () => {
    const installed = readdirSync(join(project, 'node_modules'));
    const declared = Object.keys(packageJson.dependencies).map((name) => name.split('/')[0] ?? name);
    expect(installed).toEqual(expect.arrayContaining([...new Set(declared), 'flm']));
    for (const name of Object.keys(packageJson.devDependencies)) expect(installed).not.toContain(name);
  });

  test('tells its version, and does work with both databases', async () => {
    const { version } = packageJson;
    expect(parseResult((await bunx('version')).stdout)).toEqual({ version });
    const list = await bunx('config', 'list');
    expect(list).toMatchObject({ code: 0, stderr: '' });
    expect(parseResult(list.stdout)).toMatchObject({ items: expect.any(Array) });
    const check = await bunx('check');
    expect(check).toMatchObject({ code: 0, stderr: '' });
    expect(parseResult(check.stdout)).toMatchObject({ status: 'warning' });
    expect((await bunx('confg', 'list')).code).toBe(1);
  });

  test('serves', async () => {
    const fake = await startFake('llamacpp', { models: ['bunx-model'] });
    expect((await bunx('engines', 'add', '--url', fake.url)).code).toBe(0);
    const child = Bun.spawn([process.execPath, 'x', '--bun', 'flm', 'up', '--port', '0'], {
      cwd: project,
      env,
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const stdout: Collected = collect(child.stdout);
    const stderr: Collected = collect(child.stderr);
    const line = await firstLine(stdout);
    if (line === null) throw new Error(stderr.text());
    const up = parseResult(`${line}\n`) as { listen_addr: string; plain_key: string; pid: number };
    const script = await fetch(`http://127.0.0.1:${env.FLM_ADMIN_PORT}/swagger/ui.js`);
    expect((await script.text()).length).toBeGreaterThan(1_000_000);
    const response = await chat(`http://${up.listen_addr}`, { key: up.plain_key, model: 'bunx-model' });
    expect(response.status).toBe(200);
    expect(parseResult((await bunx('status')).stdout)).toMatchObject({ running: true, pid: up.pid });
    // Its Worker is a script of its own in the package.
    const activity = parseResult((await bunx('activity', 'list')).stdout) as { items: unknown[] };
    expect(activity.items).toMatchObject([{ model: 'bunx-model', outcome: 'done' }]);
    process.kill(up.pid, 'SIGTERM');
    expect(await child.exited).toBe(0);
    await fake.close();
  });
});
