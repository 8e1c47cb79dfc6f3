/**
 * Trust, with the executable and for real: the store of this system (in mounts of our own), curl without flags, headless
 * Chromium on a database of its own, and clients that trust one root or the other while it is rotated.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import { createCertStore, type StoreReport } from '../../certs';
import { loadIssue } from '../../certs/authority/load';
import { pemOf } from '../../certs/certificate';
import { openDatabases } from '../../db';
import { type App, openApp } from '../../src/app';
import { systemClock } from '../../src/lib/clock';
import { isRecord } from '../../src/lib/json';
import { silentLog } from '../../src/lib/log';
import { auditSpy } from '../support/audit';
import type { TestDir } from '../support/data-dir';
import { dataOf, errorOf, executable, flm, leftovers, parseResult, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { isImpossible, isMissing, lacksProgram } from '../support/missing';
import { lacksMounts, type OwnMounts, ownMounts } from '../support/own-mounts';
import { createTestCa } from '../support/test-ca';
import { listenTls } from '../support/tls';

const NO_STORE =
  isImpossible('the store of roots of a system', lacksMounts()) ||
  isMissing('the store of roots of Debian', lacksProgram('update-ca-certificates'));
const NO_JAVA = isMissing(
  "Java's store",
  existsSync('/etc/ca-certificates/update.d/jks-keystore')
    ? lacksProgram('keytool')
    : 'ca-certificates-java is not installed',
);
const NO_NSS = isMissing('databases of browsers', lacksProgram('certutil'));
const NO_CHROMIUM = NO_NSS || isMissing('the certificate in a browser', lacksProgram('chromium'));

beforeAll(executable, 60_000);
afterAll(() => expect(leftovers()).toEqual([]));

const storesOf = (data: unknown) => (isRecord(data) ? (data.stores as StoreReport[]) : []);
const results = (data: unknown) => storesOf(data).map(({ store, result }) => [store, result]);

interface Place extends TestDir {
  /** The owner's home, with browsers' databases and files: FLM wants its data directory for itself. */
  readonly home: string;
}

function place(): Place {
  const home = mkdtempSync(join(tmpdir(), 'flm-home-'));
  const { [Symbol.dispose]: dispose, ...dir } = testHome({ HOME: home });
  return {
    ...dir,
    home,
    [Symbol.dispose]() {
      dispose();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** FLM's data directory in this process, as a listener has it. */
async function open(home: TestDir): Promise<App> {
  const { paths, env } = home;
  return openApp({
    paths,
    env,
    clock: systemClock,
    log: silentLog,
    flags: {},
    running: false,
    lockWaitMs: 3_000,
  });
}

/** The keys that lie in its security.db. */
async function keysOf({ paths, env }: TestDir) {
  const databases = await openDatabases({ paths, env, clock: systemClock, lockWaitMs: 3_000 });
  return {
    store: createCertStore(databases.security, auditSpy()),
    [Symbol.asyncDispose]: async () => databases.close(),
  };
}

/** A server with the certificates that a listener would show: by name, and to who comes to an address. */
async function serve(home: TestDir) {
  const app = await open(home);
  const source = await app.certs.source('packaged-ca');
  await app.close();
  const optionsFor = (name: string | null) => {
    const { certificatePem: cert, privateKeyPem: key } = source.contextFor(name, '127.0.0.1');
    return { cert, key };
  };
  const options = {
    ...optionsFor(null),
    SNICallback: (name: string, done: (error: null, context: SecureContext) => void) =>
      done(null, createSecureContext(optionsFor(name))),
  };
  const body = 'it works';
  return listenTls(options, (socket) =>
    socket.end(
      `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    ),
  );
}

describe.skipIf(NO_STORE)('the store of this system', () => {
  let mounts: OwnMounts;
  beforeAll(async () => {
    mounts = await ownMounts();
    // What it changes by itself, whoever runs it, has nothing to do with FLM.
    await mounts.sh('update-ca-certificates');
    await mounts.sh(
      'ln -s /usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt /etc/ssl/certs/laid-by-hand.pem',
    );
  });
  afterAll(() => mounts[Symbol.asyncDispose]());

  const run = async (home: TestDir, ...words: string[]) => {
    const ran = await flm(home.env, ['security', ...words, '--json'], { prefix: mounts.prefix });
    return { code: ran.code, data: ran.stdout === '' ? null : parseResult(ran.stdout), stderr: ran.stderr };
  };
  const curl = (port: number, host: string) => mounts.sh(`curl -sS --max-time 10 https://${host}:${port}/`);
  /** Java's copy is another each time it is made. */
  const content = async () =>
    (
      await mounts.sh(
        'cd /etc/ssl && find . /usr/local/share/ca-certificates /etc/ca-certificates.conf ! -path "*/java/*" -printf "%p %y %m %u %l\\n" | sort && find . /usr/local/share/ca-certificates /etc/ca-certificates.conf -type f ! -path "*/java/*" | sort | xargs sha256sum',
      )
    ).output;

  test('curl works after install-ca, without flags, and not after uninstall-ca; the store is as it was', async () => {
    using home = place();
    const before = await content();
    await dataOf(home.env, ['security', 'ca', 'export']);
    await using server = await serve(home);
    expect((await curl(server.port, 'localhost')).output).toContain('unable to get local issuer certificate');

    expect(results((await run(home, 'install-ca')).data)[0]).toEqual(['system (Debian)', 'added']);
    for (const host of ['localhost', '127.0.0.1'])
      expect(await curl(server.port, host)).toEqual({ code: 0, output: 'it works' });
    expect(results((await run(home, 'install-ca')).data)[0]).toEqual(['system (Debian)', 'present']);

    const removed = await run(home, 'uninstall-ca', '--yes');
    expect([removed.code, results(removed.data)[0]]).toEqual([0, ['system (Debian)', 'removed']]);
    expect(results((await run(home, 'uninstall-ca', '--yes')).data)[0]).toEqual([
      'system (Debian)',
      'absent',
    ]);
    expect((await curl(server.port, 'localhost')).output).toContain('unable to get local issuer certificate');
    expect(await content()).toBe(before);
  }, 60_000);

  test.skipIf(NO_JAVA)(
    'Java trusts the root after install-ca, too, and no longer after uninstall-ca',
    async () => {
      using home = place();
      const list = () =>
        mounts.sh(
          'keytool -list -keystore /etc/ssl/certs/java/cacerts -storepass changeit 2>/dev/null | grep -c flm-local-ca',
        );
      expect((await list()).output.trim()).toBe('0');
      await run(home, 'install-ca');
      expect((await list()).output.trim()).toBe('1');
      expect((await run(home, 'uninstall-ca', '--yes')).code).toBe(0);
      expect((await list()).output.trim()).toBe('0');
    },
    60_000,
  );

  test('a rotation is followed by install-ca: the root that has ended goes, the new one comes', async () => {
    using home = place();
    const before = await content();
    await run(home, 'install-ca');
    await dataOf(home.env, ['security', 'ca', 'rotate', '--overlap', '0s']);
    await using server = await serve(home);
    expect((await curl(server.port, 'localhost')).code).not.toBe(0);
    expect(results((await run(home, 'install-ca')).data)[0]).toEqual(['system (Debian)', 'added']);
    expect(await curl(server.port, 'localhost')).toEqual({ code: 0, output: 'it works' });
    const listed = await mounts.sh('ls /usr/local/share/ca-certificates | grep -c flm-local-ca');
    expect(listed.output.trim()).toBe('1');
    await run(home, 'uninstall-ca', '--yes');
    expect(await content()).toBe(before);
  }, 60_000);

  test('that is read-only is told of in words, and stops no browser', async () => {
    using home = place();
    const nssdb = join(home.home, '.pki/nssdb');
    mkdirSync(nssdb, { recursive: true });
    if (!NO_NSS) Bun.spawnSync(['certutil', '-N', '-d', `sql:${nssdb}`, '--empty-password']);
    await mounts.sh('mount -o remount,ro,bind /usr/local/share/ca-certificates');
    try {
      const { code, data } = await run(home, 'install-ca');
      const [system, browser] = storesOf(data);
      expect([code, system?.result]).toEqual([1, 'failed']);
      expect(system?.message).toContain('is read-only here');
      if (!NO_NSS) expect(browser).toMatchObject({ store: 'Chromium', result: 'added' });
    } finally {
      await mounts.sh('mount -o remount,rw,bind /usr/local/share/ca-certificates');
    }
  }, 60_000);

  test('takes a root from a file, as sudo does without the data directory of its user', async () => {
    using home = place();
    using other = place();
    const file = join(home.home, 'root.pem');
    await dataOf(home.env, ['security', 'ca', 'export', '--output', file]);
    expect(statSync(file).mode & 0o777).toBe(0o644);
    expect(results((await run(other, 'install-ca', '--cert-path', file)).data)[0]).toEqual([
      'system (Debian)',
      'added',
    ]);
    expect(results((await run(home, 'uninstall-ca', '--yes')).data)[0]).toEqual([
      'system (Debian)',
      'removed',
    ]);
    expect(statSync(other.paths.securityDb, { throwIfNoEntry: false })).toBeUndefined();
  }, 60_000);
});

/** The page, or why there is none; names lead to this machine. */
async function visitWith(home: Place, port: number, host = 'localhost'): Promise<string> {
  const words = [
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    '--no-first-run',
    '--disable-background-networking',
    '--host-resolver-rules=MAP * 127.0.0.1',
  ];
  const child = Bun.spawn(
    [
      'chromium',
      ...words,
      `--user-data-dir=${join(home.home, 'chromium')}`,
      '--dump-dom',
      `https://${host}:${port}/`,
    ],
    {
      env: { PATH: process.env.PATH, HOME: home.home },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    },
  );
  // The page, or on stderr why there is none.
  const [dom, said] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  await child.exited;
  return dom === '' ? said : dom;
}

describe.skipIf(NO_CHROMIUM)('headless Chromium', () => {
  /** Only the browser's database: the system's store is left alone. */
  const env = (home: Place) => ({ ...home.env, PATH: programsIn(home) });

  test('shows no warning after install-ca, and does before and after uninstall-ca', async () => {
    using home = place();
    await dataOf(home.env, ['security', 'ca', 'export']);
    await using server = await serve(home);
    expect(await visitWith(home, server.port)).toContain('ERR_CERT_AUTHORITY_INVALID');
    const installed = await dataOf(env(home), ['security', 'install-ca']);
    expect(results(installed)).toEqual([
      ['system', 'skipped'],
      ['Chromium', 'added'],
    ]);
    const dom = await visitWith(home, server.port);
    expect(dom).toContain('it works');
    expect(dom).not.toContain('ERR_CERT');
    expect(await visitWith(home, server.port, '127.0.0.1')).toContain('it works');
    // During a rotation it knows the old root only, and after install-ca the new one, too.
    await dataOf(home.env, ['security', 'ca', 'rotate']);
    await using rotated = await serve(home);
    expect(await visitWith(home, rotated.port)).toContain('it works');
    await dataOf(env(home), ['security', 'install-ca']);
    expect(await visitWith(home, rotated.port)).toContain('it works');
    await dataOf(env(home), ['security', 'uninstall-ca', '--yes']);
    expect(await visitWith(home, rotated.port)).toContain('ERR_CERT_AUTHORITY_INVALID');
    expect(await visitWith(home, server.port)).toContain('ERR_CERT_AUTHORITY_INVALID');
  }, 120_000);
});

describe.skipIf(NO_CHROMIUM)('a root whose key was stolen', () => {
  /** What the thief makes with it. */
  async function forge(home: TestDir, names: readonly string[]) {
    const app = await open(home);
    await app.certs.createCa({});
    await app.close();
    await using databases = await keysOf(home);
    const [root] = await databases.store.roots();
    if (root?.privateKey == null) throw new Error('there is no root');
    const nowMs = Date.now();
    const { makeLeaf } = await loadIssue();
    const made = await makeLeaf({ certificate: root.certificate, privateKey: root.privateKey }, names, {
      notBeforeMs: nowMs - 3_600_000,
      notAfterMs: nowMs + 86_400_000,
    });
    return {
      cert: pemOf('CERTIFICATE', made.certificate),
      key: pemOf('PRIVATE KEY', made.privateKey),
    };
  }

  test.each([
    [['evil.example.com'], 'evil.example.com', false],
    [['localhost', 'evil.example.com'], 'localhost', false],
    [['*.com'], 'evil.com', false],
    [['local.evil.com'], 'local.evil.com', false],
    [['a.localhost'], 'a.localhost', true],
  ])(
    'opens no other name to Chromium that trusts it: %j for %s',
    async (names, host, isTaken) => {
      using home = place();
      const { cert, key } = await forge(home, names);
      await using server = await listenTls({ cert, key }, (socket) =>
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nit works'),
      );
      await dataOf({ ...home.env, PATH: programsIn(home) }, ['security', 'install-ca']);
      const seen = await visitWith(home, server.port, host);
      if (isTaken) expect(seen).toContain('it works');
      else {
        expect(seen).not.toContain('it works');
        expect(seen).toContain('ERR_CERT');
      }
    },
    60_000,
  );
});

/** A folder with the programs that the browser's database takes, and not those of the system's store. */
function programsIn({ home }: Place): string {
  const dir = join(home, 'bin');
  mkdirSync(dir, { recursive: true });
  for (const name of ['certutil', 'chromium'])
    writeFileSync(join(dir, name), `#!/bin/sh\nexec ${Bun.which(name)} "$@"\n`, { mode: 0o755 });
  return dir;
}

describe('a rotation', () => {
  test('serves clients of the old root and of the new one, by openssl s_client', async () => {
    using home = place();
    const [old, fresh] = [join(home.home, 'old.pem'), join(home.home, 'new.pem')];
    await dataOf(home.env, ['security', 'ca', 'export', '--output', old]);
    const rotated = await dataOf(home.env, ['security', 'ca', 'rotate', '--overlap', '1h']);
    expect(rotated).toMatchObject({ status: 'current', old_root_served_until: expect.any(String) });
    await dataOf(home.env, ['security', 'ca', 'export', '--output', fresh]);
    expect(readFileSync(old, 'utf8')).not.toBe(readFileSync(fresh, 'utf8'));
    const connect = async (root: string) => {
      await using server = await serve(home);
      const none = [
        '-no-CAfile',
        '-no-CApath',
        '-no-CAstore',
        '-verify_return_error',
        '-verify_hostname',
        'localhost',
      ];
      const words = [
        'openssl',
        's_client',
        '-connect',
        `127.0.0.1:${server.port}`,
        '-servername',
        'localhost',
      ];
      const child = Bun.spawn([...words, ...none, '-CAfile', root], {
        stdin: new Blob(['']),
        stdout: 'pipe',
        stderr: 'pipe',
      });
      const output = await new Response(child.stdout).text();
      await child.exited;
      return /Verify return code: (\d+)/.exec(output)?.[1];
    };
    expect([await connect(old), await connect(fresh)]).toEqual(['0', '0']);
    expect(await errorOf(home.env, ['security', 'ca', 'rotate'])).toMatchObject({
      code: 'CA_ROTATING',
      exit: 1,
    });
    await dataOf(home.env, ['security', 'ca', 'rotate', '--overlap', '0s']);
    await dataOf(home.env, ['security', 'ca', 'export', '--output', `${fresh}.2`]);
    expect([await connect(old), await connect(fresh), await connect(`${fresh}.2`)]).toEqual([
      '20',
      '20',
      '0',
    ]);
  }, 60_000);
});

describe('while FLM runs', () => {
  test('it does the same through the admin API, measures it and puts it on record', async () => {
    using home = place();
    using ca = createTestCa();
    await using running = await startFlm(home.env);
    const root = await dataOf(home.env, ['security', 'ca', 'export']);
    const rotated = await dataOf(home.env, ['security', 'ca', 'rotate']);
    expect([root, rotated]).toMatchObject([{ status: 'current' }, { status: 'current' }]);
    const { cert, key } = ca.issue('DNS:llm.example.com', 60);
    const file = join(home.home, 'both.pem');
    writeFileSync(file, cert + key);
    const brought = await dataOf(home.env, ['security', 'certificates', 'import', '--cert', file]);
    expect(await dataOf(home.env, ['security', 'certificates', 'list'])).toEqual({
      items: [brought],
      next: null,
    });
    const metrics = await (await fetch(`${running.url}/metrics`)).text();
    expect(metrics).toMatch(
      /flm_certificate_expiry_timestamp_seconds\{kind="manual",domain="llm.example.com",id="[0-9a-f]{16}"\} \d{10}\n/,
    );
    expect(metrics).toMatch(
      /flm_certificate_expiry_timestamp_seconds\{kind="root",domain="FLM Local CA [0-9a-f]{8}"/,
    );
    const audit = await flm(home.env, ['security', 'audit-logs', 'export', '--format', 'json']);
    for (const type of ['ca.created', 'ca.rotated', 'certificate.imported'])
      expect(audit.stdout).toContain(type);
    const secret = key.split('\n')[1] ?? '';
    await running.stop();
    for (const text of [audit.stdout, await running.stderr.whole, await running.stdout.whole])
      expect(text).not.toContain(secret);
  }, 60_000);
});

describe('certificates of the owner', () => {
  test('are brought, listed and removed; what is wrong with one is said, and no key with it', async () => {
    using home = place();
    using ca = createTestCa();
    const { cert, key } = ca.issue('DNS:llm.example.com,DNS:*.llm.example.com');
    const at = (name: string, text: string) => {
      writeFileSync(join(home.home, name), text);
      return join(home.home, name);
    };
    const [certFile, keyFile] = [at('c.pem', cert), at('k.pem', key)];
    const words = ['security', 'certificates', 'import', '--cert', certFile];
    const brought = await dataOf(home.env, [...words, '--key', keyFile]);
    expect(brought).toMatchObject({ mode: 'manual', domain: 'llm.example.com', status: 'expiring' });
    const list = await dataOf(home.env, ['security', 'certificates']);
    expect(list).toEqual({ items: [brought], next: null });
    expect(JSON.stringify(list)).not.toContain('PRIVATE');
    expect(await errorOf(home.env, words)).toMatchObject({ code: 'CERTIFICATE_INVALID', exit: 1 });
    const p12 = at('c.p12', '\u0030\u0082xxxx');
    const refused = await errorOf(home.env, ['security', 'certificates', 'import', '--cert', p12]);
    expect(refused.message).toContain('neither PEM nor PKCS#12');
    const report = await flm(home.env, ['check', '--json']);
    expect(report.stdout).toContain('the certificate of llm.example.com ends on');
    const id = isRecord(brought) ? String(brought.id) : '';
    expect(await dataOf(home.env, ['security', 'certificates', 'remove', id.slice(0, 16)])).toEqual({
      id,
      removed: true,
    });
    expect(await errorOf(home.env, ['security', 'certificates', 'remove', id])).toMatchObject({
      code: 'CERTIFICATE_NOT_FOUND',
    });
    // Nothing of the key lies anywhere as it is.
    const body = key.split('\n')[1] ?? '';
    for (const name of ['security.db', 'security.db-wal', 'config.db'])
      expect(
        statSync(join(home.dir, name), { throwIfNoEntry: false }) === undefined ||
          !readFileSync(join(home.dir, name), 'latin1').includes(body),
      ).toBe(true);
  }, 60_000);
});
