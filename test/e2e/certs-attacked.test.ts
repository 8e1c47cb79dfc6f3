/**
 * Certificates where things go wrong, with the executable: an address that nobody may certify, files of all kinds, an imported
 * certificate in the way of FLM's own clients, several processes at once, kill -9, a full disk, and a machine without trust.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord } from '../../src/lib/json';
import type { ProxyView } from '../../src/listeners';
import { openssl } from '../support/certs';
import type { TestDir } from '../support/data-dir';
import { eventually } from '../support/eventually';
import { dataOf, errorOf, executable, flm, leftovers, parseResult, startFlm } from '../support/executable';
import { startFakeProcess } from '../support/fake-process';
import { testHome } from '../support/home';
import { isImpossible, isMissing, lacksProgram } from '../support/missing';
import { lacksMounts, ownMounts } from '../support/own-mounts';
import { lacksNet, ownNet } from '../support/own-net';
import { mountSmall } from '../support/small-disk';
import { createTestCa } from '../support/test-ca';

setDefaultTimeout(60_000);
beforeAll(executable, 60_000);
afterAll(() => eventually(() => leftovers().length === 0));

const PUBLIC = '203.0.114.5';
const TLS = ['--mode', 'packaged-ca'];
const MODEL = 'smollm2-135m-instruct';
const PASSWORD = 'geheim & laut';

const NO_NET = isImpossible('a machine with public addresses alone', lacksNet());
const NO_STORE =
  isImpossible('the store of roots of a system', lacksMounts()) ||
  isMissing('the store of roots of Debian', lacksProgram('update-ca-certificates'));

const ssl = openssl();
afterAll(() => ssl[Symbol.dispose]());

function pkcs12(names: string, ...more: readonly string[]): { readonly file: string; readonly key: string } {
  using ca = createTestCa();
  const { cert, key } = ca.issue(names);
  const out = ssl.file(`${Bun.randomUUIDv7()}.p12`, '');
  const from = ['-in', ssl.file('c.pem', cert), '-inkey', ssl.file('k.pem', key)];
  ssl.run('pkcs12', '-export', ...from, '-out', out, '-passout', `pass:${PASSWORD}`, ...more);
  return { file: out, key };
}

describe.skipIf(NO_NET)('on a machine whose only address is public', () => {
  test('nothing is shown as a URL that its certificates do not hold, until the owner lets the root vouch for it', async () => {
    await using net = await ownNet([`${PUBLIC}/32`]);
    using home = testHome();
    const options = { prefix: net.prefix };
    await using up = await startFlm(home.env, ['--port', '8080', '--bind', '0.0.0.0', ...TLS], options);
    const curl = (...words: readonly string[]) => {
      const { stdout, stderr } = Bun.spawnSync([...net.prefix, 'curl', '-sS', '--max-time', '10', ...words]);
      return stdout.toString() + stderr.toString();
    };
    const listener = async () => {
      const report = await dataOf(home.env, ['security', 'exposure'], options).catch(async () => {
        // Exit code 1: something is open.
        return parseResult((await flm(home.env, ['security', 'exposure', '--json'], options)).stdout);
      });
      return isRecord(report) && Array.isArray(report.listeners) ? (report.listeners[0] as unknown) : null;
    };
    const root = join(home.dir, 'root.pem');
    await dataOf(home.env, ['security', 'ca', 'export', '--output', root], options);

    expect(up.data.endpoints).toEqual({
      localhost: 'https://localhost:8081',
      local_network: null,
      local_networks: [],
      public: [],
    });
    expect(up.data.proxies[0]?.uncertified).toEqual([PUBLIC]);
    expect(curl('--cacert', root, 'https://localhost:8081/health')).toContain('"status"');
    expect(curl('--cacert', root, `https://${PUBLIC}:8081/health`)).toContain(
      'no alternative certificate subject name',
    );
    const refused = curl('-i', `http://${PUBLIC}:8080/v1/models`);
    expect(refused).toStartWith('HTTP/1.1 403 ');
    expect(refused).toContain(`No certificate of FLM holds "${PUBLIC}"`);
    expect(refused.toLowerCase()).not.toContain('location:');
    expect(curl('-o', '/dev/null', '-w', '%{http_code}', `http://${PUBLIC}:8080/ca`)).toBe('200');
    expect(await listener()).toMatchObject({
      verdict: 'warning',
      urls: ['https://localhost:8081'],
      advice: expect.stringContaining('flm security certificates import'),
    });
    const text = await flm(home.env, ['security', 'exposure', '--format', 'text'], options);
    expect(text.stdout).not.toContain(`https://${PUBLIC}`);

    await dataOf(home.env, ['config', 'set', 'certs.names', PUBLIC], options);
    await dataOf(home.env, ['security', 'ca', 'rotate', '--overlap', '0s'], options);
    const next = join(home.dir, 'next.pem');
    await dataOf(home.env, ['security', 'ca', 'export', '--output', next], options);
    expect(curl('-L', '--cacert', next, `http://${PUBLIC}:8080/health`)).toContain('"status"');
    expect(await listener()).toMatchObject({
      verdict: 'ok',
      urls: [`https://localhost:8081`, `https://${PUBLIC}:8081`],
    });
    const status = await dataOf(home.env, ['status'], options);
    expect(isRecord(status) ? (status.proxies as ProxyView[])[0]?.uncertified : null).toEqual([]);
  });
});

describe('an imported certificate', () => {
  test('for localhost does not stand between flm chat and FLM', async () => {
    await using engine = await startFakeProcess('llamacpp');
    using home = testHome();
    using ca = createTestCa();
    await dataOf(home.env, ['engines', 'add', '--kind', 'llamacpp', '--url', engine.url, '--id', 'fake']);
    const { cert, key } = ca.issue('DNS:localhost,DNS:*.localhost,IP:127.0.0.1');
    const file = join(home.dir, 'bundle.pem');
    writeFileSync(file, cert + key, { mode: 0o600 });
    await dataOf(home.env, ['security', 'certificates', 'import', '--cert', file]);
    await using up = await startFlm(home.env, ['--port', '0', ...TLS, '--ask', 'Hello']);
    await eventually(() => up.stdout.text().split('\n').length > 2);
    expect(up.stdout.text()).toContain('"content"');
    expect(await dataOf(home.env, ['chat', '--model', MODEL, 'Hello'])).toMatchObject({
      usage: expect.anything(),
    });
    // Others are shown what the owner wants them to see.
    const answer = await fetch(`${up.data.endpoints.localhost}/health`, {
      tls: { ca: readFileSync(ca.caFile, 'utf8') },
    });
    expect(answer.status).toBe(200);
  });

  test.each([
    ['as openssl writes it', []],
    ['with RC2 and 3DES', ['-legacy']],
  ])(
    'comes from PKCS#12 %s; its password from stdin or the environment, and never from an argument',
    async (_what, more) => {
      using home = testHome();
      const { file, key } = pkcs12('DNS:llm.example.com', ...more);
      const words = ['security', 'certificates', 'import', file];
      const piped = await dataOf(home.env, words, { stdin: `${PASSWORD}\n` });
      expect(piped).toMatchObject({ mode: 'manual', domain: 'llm.example.com' });
      const named = await dataOf({ ...home.env, P12: PASSWORD }, [...words, '--password-env', 'P12']);
      expect(named).toEqual(piped);
      const [wrong, none, argument] = [
        await errorOf(home.env, words, { stdin: 'wrong\n' }),
        await errorOf(home.env, words),
        await errorOf(home.env, [...words, '--password', PASSWORD]),
      ];
      expect(wrong).toMatchObject({ code: 'CERTIFICATE_INVALID', exit: 1 });
      expect(wrong.message).toContain('the password is wrong');
      expect(none.message).toContain('--password-env');
      expect(argument.code).toBe('USAGE_ERROR');
      const secret = key.split('\n')[1] ?? '';
      const audit = await flm(home.env, ['security', 'audit-logs', 'export', '--format', 'json']);
      for (const text of [JSON.stringify([piped, wrong, none, argument]), audit.stdout]) {
        expect(text).not.toContain(secret);
        expect(text).not.toContain(PASSWORD);
      }
    },
  );

  test('from a file without end, a folder or nowhere is refused in words', async () => {
    using home = testHome();
    for (const [path, reason] of [
      ['/dev/zero', 'more than 1 MB'],
      [home.dir, 'EISDIR'],
      ['/nowhere/x.pem', 'ENOENT'],
    ] as const) {
      const error = await errorOf(home.env, ['security', 'certificates', 'import', path]);
      expect([error.code, error.message]).toEqual(['INVALID_INPUT', expect.stringContaining(reason)]);
    }
    expect((await errorOf(home.env, ['security', 'certificates', 'import'])).code).toBe('USAGE_ERROR');
  });
});

/** The roots that there are, the newest first. */
async function rootsOf(
  home: TestDir,
): Promise<readonly { readonly status: string; readonly fingerprint: string }[]> {
  const status = await dataOf(home.env, ['security', 'ca', 'status']);
  return isRecord(status) ? (status.roots as { status: string; fingerprint: string }[]) : [];
}

describe('a rotation', () => {
  test('by several processes at once makes one root after the other, of which one signs', async () => {
    using home = testHome();
    await dataOf(home.env, ['security', 'ca', 'export']);
    const ran = await Promise.all(
      [1, 2, 3, 4].map(() => flm(home.env, ['security', 'ca', 'rotate', '--overlap', '0s', '--json'])),
    );
    const made = ran.filter(({ code }) => code === 0).length;
    expect(made).toBeGreaterThan(0);
    for (const { code, stderr } of ran) if (code !== 0) expect(stderr).toContain('"code":"DB_LOCKED"');
    const roots = await rootsOf(home);
    expect(roots.length).toBe(1 + made);
    expect(roots.map(({ status }) => status)).toEqual(['current', ...Array(made).fill('ended')]);
  });

  test('that is killed at any moment leaves the old root or the new one, and leaves that fit', async () => {
    using home = testHome();
    await dataOf(home.env, ['security', 'ca', 'export']);
    const program = await executable();
    for (let afterMs = 20; afterMs <= 260; afterMs += 30) {
      const child = Bun.spawn([program, 'security', 'ca', 'rotate', '--overlap', '0s'], {
        env: home.env,
        stdout: 'ignore',
        stderr: 'ignore',
      });
      // The moment is the point of it: there is no event in the middle of a transaction.
      await Bun.sleep(afterMs);
      child.kill('SIGKILL');
      await child.exited;
      expect((await rootsOf(home)).filter(({ status }) => status === 'current').length).toBe(1);
    }
    await using up = await startFlm(home.env, ['--port', '0', ...TLS]);
    const root = await dataOf(home.env, ['security', 'ca', 'export']);
    const ca = isRecord(root) ? String(root.certificate_pem) : '';
    expect((await fetch(`${up.data.endpoints.localhost}/health`, { tls: { ca } })).status).toBe(200);
  });
});

test('on a full disk nothing is half done: the root that signs goes on, and it is said', async () => {
  const disk = mountSmall(30_000_000);
  if (disk === null) return;
  try {
    using home = testHome();
    const env = { ...home.env, FLM_DATA_DIR: join(disk.dir, 'data') };
    const place = { ...home, env, dir: env.FLM_DATA_DIR };
    await dataOf(env, ['security', 'ca', 'export']);
    const [before] = await rootsOf(place);
    Bun.spawnSync(['dd', 'if=/dev/zero', `of=${join(disk.dir, 'filler')}`, 'bs=4096'], { stderr: 'ignore' });
    const refused = await flm(env, ['security', 'ca', 'rotate', '--json']);
    const { file } = pkcs12('DNS:llm.example.com');
    const imported = await flm(env, ['security', 'certificates', 'import', file, '--json'], {
      stdin: PASSWORD,
    });
    for (const ran of [refused, imported]) {
      expect(ran.code).not.toBe(0);
      expect(ran.stderr).not.toContain('INTERNAL_ERROR');
    }
    rmSync(join(disk.dir, 'filler'));
    expect(await rootsOf(place)).toEqual(before === undefined ? [] : [before]);
    expect(await dataOf(env, ['security', 'certificates', 'list'])).toEqual({ items: [], next: null });
  } finally {
    disk.unmount();
  }
});

test('files are for their owner whatever the umask says, and a link in place of their folder is not followed', async () => {
  for (const umask of ['000', '077', '777']) {
    using home = testHome();
    const prefix = ['sh', '-c', `umask ${umask}; exec "$@"`, 'sh'];
    const ran = await flm(home.env, ['security', 'install-ca', '--json'], {
      prefix: [...prefix, 'env', `PATH=/nowhere`, 'HOME=/nowhere'],
    });
    expect(ran.stderr).toBe('');
    const modeOf = (path: string) => (statSync(join(home.dir, path)).mode & 0o777).toString(8);
    const [file] = readdirSync(join(home.dir, 'certs'));
    expect([modeOf('certs'), modeOf(`certs/${file}`), modeOf('security.db')]).toEqual(['700', '644', '600']);
    expect(readFileSync(join(home.dir, 'certs', String(file)), 'utf8')).not.toContain('PRIVATE');
  }
  using home = testHome();
  using elsewhere = testHome();
  await dataOf(home.env, ['security', 'ca', 'export']);
  Bun.spawnSync(['rm', '-rf', join(home.dir, 'certs')]);
  Bun.spawnSync(['ln', '-s', elsewhere.dir, join(home.dir, 'certs')]);
  expect(await errorOf(home.env, ['security', 'install-ca'])).toMatchObject({ code: 'IO_ERROR' });
  expect(readdirSync(elsewhere.dir).filter((name) => name.startsWith('flm-ca'))).toEqual([]);
});

describe.skipIf(NO_STORE)('FLM-094: at the start of a proxy', () => {
  const HINT = 'flm security install-ca';
  test('a machine without trust is told once, or is given it where FLM_AUTO_INSTALL_CA says so', async () => {
    await using mounts = await ownMounts();
    using home = testHome();
    const start = async (extra: Record<string, string> = {}) => {
      const up = await startFlm({ ...home.env, ...extra }, ['--port', '0', ...TLS], {
        prefix: mounts.prefix,
      });
      await up.stop();
      return { said: await up.stderr.whole, ms: up.startedInMs };
    };
    expect((await start()).said).toContain(HINT);
    expect((await start()).said).not.toContain(HINT);
    const { said } = await start({ FLM_AUTO_INSTALL_CA: '1' });
    expect(said).toMatch(/a store of this machine.*"store":"system \(Debian\)","result":"added"/);
    expect((await mounts.sh('ls /usr/local/share/ca-certificates')).output).toContain('flm-local-ca-');
    expect((await start({ FLM_AUTO_INSTALL_CA: '1' })).said).not.toContain('a store of this machine');
    expect((await start()).said).not.toContain(HINT);
  });
});
