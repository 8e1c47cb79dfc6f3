/** The stores of roots: what is run on each system, and what becomes of one that does not work. NSS is the real one. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isMissing, lacksProgram } from '../../test/support/missing';
import { createTestCa } from '../../test/support/test-ca';
import {
  installRoots,
  type StoreReport,
  type TrustMachine,
  type TrustRoot,
  trustRootOf,
  uninstallRoots,
} from '.';

let dir: string;
let root: TrustRoot;
let ran: string[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'flm-trust-'));
  root = newRoot('root.pem');
  ran = [];
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function newRoot(name: string): TrustRoot {
  using ca = createTestCa();
  const file = join(dir, name);
  writeFileSync(file, readFileSync(ca.caFile));
  return trustRootOf(readFileSync(ca.caFile, 'latin1'), file);
}

type Answers = (words: readonly string[]) => { readonly code: number; readonly output: string };

/** A machine below `dir`, whose programs are only said. */
function machineOf(more: Partial<TrustMachine> & { readonly answers?: Answers }): TrustMachine {
  const { answers = () => ({ code: 0, output: '' }), ...rest } = more;
  mkdirSync(join(dir, 'home'), { recursive: true });
  return {
    platform: 'linux',
    uid: process.getuid?.() ?? 0,
    home: join(dir, 'home'),
    root: dir,
    asRoot: 'sudo flm security install-ca --cert-path /x/root.pem',
    has: () => false,
    run: async (words) => {
      ran.push(words.map((word) => word.replaceAll(dir, '')).join(' '));
      return answers(words);
    },
    ...rest,
  };
}

const results = (reports: readonly StoreReport[]) => reports.map(({ store, result }) => [store, result]);

/** The layouts of Linux: a bundle that is made of the files in a folder, as the real programs do. */
const LAYOUTS = [
  [
    'system (Debian)',
    'usr/local/share/ca-certificates',
    'etc/ssl/certs/ca-certificates.crt',
    'update-ca-certificates',
  ],
  [
    'system (Fedora)',
    'etc/pki/ca-trust/source/anchors',
    'etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
    'update-ca-trust extract',
  ],
  [
    'system (Arch)',
    'etc/ca-certificates/trust-source/anchors',
    'etc/ca-certificates/extracted/tls-ca-bundle.pem',
    'trust extract-compat',
  ],
  [
    'system (openSUSE)',
    'etc/pki/trust/anchors',
    'var/lib/ca-certificates/ca-bundle.pem',
    'update-ca-certificates',
  ],
] as const;

function layout(anchors: string, bundle: string, update: string, isObeyed = true): TrustMachine {
  mkdirSync(join(dir, anchors), { recursive: true });
  mkdirSync(dirname(join(dir, bundle)), { recursive: true });
  writeFileSync(join(dir, anchors, 'company.crt'), 'what was there\n');
  const rebuild = () => {
    const files = readdirSync(join(dir, anchors)).map((name) =>
      readFileSync(join(dir, anchors, name), 'utf8'),
    );
    // With lines of another length and comments in between: only the bytes of a certificate tell it.
    if (isObeyed) writeFileSync(join(dir, bundle), `# made\n${files.join('\n').replaceAll('\n', '\r\n')}`);
  };
  return machineOf({
    uid: 0,
    has: (program) => update.startsWith(program),
    answers: () => {
      rebuild();
      return { code: 0, output: '' };
    },
  });
}

describe.each(LAYOUTS)('%s', (name, anchors, bundle, update) => {
  const names = () => readdirSync(join(dir, anchors)).sort();
  const own = () => `flm-local-ca-${root.id.slice(0, 16)}.crt`;

  test('takes the root, once, and gives it back; what was there stays', async () => {
    const machine = layout(anchors, bundle, update);
    expect(results(await installRoots(machine, root, []))).toEqual([[name, 'added']]);
    expect(names()).toEqual(['company.crt', own()]);
    expect(ran).toEqual([update]);
    expect(results(await installRoots(machine, root, []))).toEqual([[name, 'present']]);
    expect(ran).toEqual([update]);
    expect(results(await uninstallRoots(machine, [root]))).toEqual([[name, 'removed']]);
    expect(names()).toEqual(['company.crt']);
    expect(readFileSync(join(dir, anchors, 'company.crt'), 'utf8')).toBe('what was there\n');
    expect(results(await uninstallRoots(machine, [root]))).toEqual([[name, 'absent']]);
    expect(ran).toEqual([update, update]);
  });

  test('of another root, which has ended, is rid at the same time', async () => {
    const machine = layout(anchors, bundle, update);
    const old = root;
    await installRoots(machine, old, []);
    root = newRoot('next.pem');
    expect(results(await installRoots(machine, root, [old]))).toEqual([[name, 'added']]);
    expect(names()).toEqual(['company.crt', own()]);
  });

  test('leaves nothing behind where the update does not take it', async () => {
    const machine = layout(anchors, bundle, update, false);
    const [report] = await installRoots(machine, root, []);
    expect(report).toMatchObject({
      result: 'failed',
      message: expect.stringContaining('has not taken the root'),
    });
    expect(names()).toEqual(['company.crt']);
  });
});

describe('a system store', () => {
  const [, anchors, bundle, update] = LAYOUTS[0];

  test('FLM-096: compares certificates by their bytes, not by text that a PEM file does not have', async () => {
    const machine = layout(anchors, bundle, update);
    await installRoots(machine, root, []);
    const text = readFileSync(join(dir, bundle), 'utf8');
    expect(text).not.toContain(root.id);
    expect(results(await installRoots(machine, root, []))).toEqual([['system (Debian)', 'present']]);
    // Another root under the same file name is not the one.
    const other = newRoot('other.pem');
    expect(results(await installRoots(machine, { ...other, id: root.id }, []))).toEqual([
      ['system (Debian)', 'added'],
    ]);
  });

  test('FLM-096: names the command for root where this user may not change it', async () => {
    const machine = { ...layout(anchors, bundle, update), uid: 1_000 };
    const [report] = await installRoots(machine, root, []);
    expect(report).toMatchObject({ result: 'failed', message: expect.stringContaining(machine.asRoot) });
    expect(readdirSync(join(dir, anchors))).toEqual(['company.crt']);
  });

  test('does not write where a link leads that somebody has laid there', async () => {
    const machine = layout(anchors, bundle, update);
    const victim = join(dir, 'victim');
    writeFileSync(victim, 'untouched');
    const own = join(dir, anchors, `flm-local-ca-${root.id.slice(0, 16)}.crt`);
    symlinkSync(victim, own);
    symlinkSync(victim, `${own}.${process.pid}.tmp`);
    expect(results(await installRoots(machine, root, []))).toEqual([['system (Debian)', 'added']]);
    expect(readFileSync(victim, 'utf8')).toBe('untouched');
    expect([lstatSync(own).isFile(), lstatSync(own).mode & 0o777]).toEqual([true, 0o644]);
    expect(readdirSync(join(dir, anchors)).length).toBe(2);
  });

  test('that is not there is left out, in words', async () => {
    const [report] = await installRoots(machineOf({}), root, []);
    expect(report).toMatchObject({
      store: 'system',
      result: 'skipped',
      message: expect.stringContaining('by hand'),
    });
  });

  test('whose program fails says what it said', async () => {
    mkdirSync(join(dir, anchors), { recursive: true });
    const machine = machineOf({
      uid: 0,
      has: (program) => program === update,
      answers: () => ({ code: 1, output: '\nE: no space left\n' }),
    });
    const [report] = await installRoots(machine, root, []);
    expect(report?.message).toBe('update-ca-certificates says: E: no space left');
    expect(readdirSync(join(dir, anchors))).toEqual([]);
  });
});

describe('macOS', () => {
  const fixed = () => ({ ...root, sha1: 'A'.repeat(40), id: 'b'.repeat(64), file: '/x/root.pem' });
  const listing = () => `SHA-256 hash: ${'B'.repeat(64)}\nSHA-1 hash: ${'A'.repeat(40)}\n`;

  test.each([
    ['a user', 501, '', '/home/Library/Keychains/login.keychain-db', 'login keychain'],
    ['root', 0, ' -d', '/Library/Keychains/System.keychain', 'system keychain'],
  ])('%s: runs what is written down', async (_who, uid, domain, keychain, store) => {
    const empty = machineOf({ platform: 'darwin', uid });
    expect(results(await installRoots(empty, fixed(), []))).toEqual([[store, 'added']]);
    const full = machineOf({ platform: 'darwin', uid, answers: () => ({ code: 0, output: listing() }) });
    expect(results(await installRoots(full, fixed(), []))).toEqual([[store, 'present']]);
    expect(results(await uninstallRoots(full, [fixed()]))).toEqual([[store, 'removed']]);
    expect(results(await uninstallRoots(empty, [fixed()]))).toEqual([[store, 'absent']]);
    expect(ran).toEqual([
      `security find-certificate -a -Z ${keychain}`,
      `security add-trusted-cert${domain} -r trustRoot -p ssl -k ${keychain} /x/root.pem`,
      `security find-certificate -a -Z ${keychain}`,
      `security find-certificate -a -Z ${keychain}`,
      `security remove-trusted-cert${domain} /x/root.pem`,
      `security delete-certificate -Z ${'A'.repeat(40)} ${keychain}`,
      `security find-certificate -a -Z ${keychain}`,
    ]);
  });
});

test('Windows: runs what is written down', async () => {
  const fixed = { ...root, sha1: 'A'.repeat(40), file: 'C:\\x\\root.pem' };
  let isThere = false;
  const machine = machineOf({
    platform: 'win32',
    answers: (words) => {
      if (words.includes('-addstore')) isThere = true;
      return { code: words.includes('-store') && !isThere ? 1 : 0, output: '' };
    },
  });
  const name = 'Windows (current user)';
  expect(results(await uninstallRoots(machine, [fixed]))).toEqual([[name, 'absent']]);
  expect(results(await installRoots(machine, fixed, []))).toEqual([[name, 'added']]);
  expect(results(await installRoots(machine, fixed, []))).toEqual([[name, 'present']]);
  expect(results(await uninstallRoots(machine, [fixed]))).toEqual([[name, 'removed']]);
  const looks = `certutil.exe -user -store Root ${fixed.sha1}`;
  expect(ran).toEqual([
    ...[looks, looks, 'certutil.exe -user -addstore Root C:\\x\\root.pem', looks, looks],
    `certutil.exe -user -delstore Root ${fixed.sha1}`,
  ]);
});

const NO_CERTUTIL = isMissing('databases of Firefox and Chromium', lacksProgram('certutil'));

describe.skipIf(NO_CERTUTIL)('databases of browsers', () => {
  /** Programs for real. */
  function realMachine(
    has: (program: string) => boolean = (program) => program === 'certutil',
  ): TrustMachine {
    return {
      ...machineOf({ has }),
      async run(words) {
        const { exitCode, stdout, stderr } = Bun.spawnSync([...words], { stdin: 'ignore' });
        return { code: exitCode, output: stdout.toString() + stderr.toString() };
      },
    };
  }

  function database(path: string, ...password: readonly string[]): string {
    const folder = join(dir, 'home', path);
    mkdirSync(folder, { recursive: true });
    const words = password.length === 0 ? ['--empty-password'] : password;
    const { exitCode, stderr } = Bun.spawnSync(['certutil', '-N', '-d', `sql:${folder}`, ...words]);
    if (exitCode !== 0) throw new Error(stderr.toString());
    return folder;
  }

  const listOf = (folder: string) =>
    Bun.spawnSync(['certutil', '-L', '-d', `sql:${folder}`]).stdout.toString();
  const browsersIn = (reports: readonly StoreReport[]) => results(reports).slice(1);

  test('are found in all places, trust the root for servers only, once, and give it back', async () => {
    const folders = [
      '.pki/nssdb',
      '.mozilla/firefox/abc.default-release',
      'snap/firefox/common/.mozilla/firefox/def.default',
      '.var/app/org.mozilla.firefox/.mozilla/firefox/ghi.default',
      'snap/chromium/current/.pki/nssdb',
      '.var/app/com.google.Chrome/data/pki/nssdb',
    ].map((path) => database(path));
    mkdirSync(join(dir, 'home/.mozilla/firefox/Crash Reports'));
    const machine = realMachine();
    const before = folders.map(listOf);
    const NAMES = [
      'Chromium',
      'Chromium (Snap)',
      'Chrome (Flatpak)',
      'Firefox abc.default-release',
      'Firefox (Snap) def.default',
      'Firefox (Flatpak) ghi.default',
    ];
    expect(browsersIn(await installRoots(machine, root, []))).toEqual(NAMES.map((name) => [name, 'added']));
    for (const folder of folders) expect(listOf(folder)).toMatch(/FLM test authority +C,, *\n/);
    expect(browsersIn(await installRoots(machine, root, []))).toEqual(NAMES.map((name) => [name, 'present']));
    expect(browsersIn(await uninstallRoots(machine, [root]))).toEqual(NAMES.map((name) => [name, 'removed']));
    expect(folders.map(listOf)).toEqual(before);
    expect(browsersIn(await uninstallRoots(machine, [root]))).toEqual(NAMES.map((name) => [name, 'absent']));
  });

  test('are found where their owner has put them', async () => {
    database('.mozilla/firefox/near.default');
    const far = database('../elsewhere/my profile');
    writeFileSync(
      join(dir, 'home/.mozilla/firefox/profiles.ini'),
      `[Profile1]\nName=far\nIsRelative=0\nPath=${far}\nDefault=1\n\n[Profile0]\nName=near\nIsRelative=1\nPath=near.default\n`,
    );
    expect(browsersIn(await installRoots(realMachine(), root, []))).toEqual([
      ['Firefox near.default', 'added'],
      ['Firefox my profile', 'added'],
    ]);
    expect(listOf(far)).toContain(root.commonName);
  });

  test('of Chromium is made where it has not started yet, and not for taking something out', async () => {
    const machine = realMachine((program) => program === 'certutil' || program === 'chromium');
    expect(browsersIn(await uninstallRoots(machine, [root]))).toEqual([]);
    expect(browsersIn(await installRoots(machine, root, []))).toEqual([['Chromium', 'added']]);
    expect(existsSync(join(dir, 'home/.pki/nssdb/cert9.db'))).toBe(true);
  });

  test('that want a password, or are damaged, stop none of the others', async () => {
    const secret = join(dir, 'secret');
    writeFileSync(secret, 'a password\n');
    database('.mozilla/firefox/one.locked', '-f', secret);
    const broken = join(dir, 'home/.mozilla/firefox/two.broken');
    mkdirSync(broken);
    writeFileSync(join(broken, 'cert9.db'), 'no database');
    database('.mozilla/firefox/three.good');
    const reports = (await installRoots(realMachine(), root, [])).slice(1);
    const byName = new Map(reports.map(({ store, ...report }) => [store, report]));
    expect(byName.get('Firefox three.good')?.result).toBe('added');
    for (const name of ['Firefox one.locked', 'Firefox two.broken'])
      expect(byName.get(name)).toMatchObject({
        result: 'failed',
        message: expect.stringContaining('certutil says: '),
      });
  });

  test('keep what others have put there under the same name', async () => {
    const folder = database('.pki/nssdb');
    const other = newRoot('other.pem');
    const words = ['-A', '-t', 'C,,', '-n', root.commonName, '-i', other.file];
    Bun.spawnSync(['certutil', ...words, '-d', `sql:${folder}`]);
    const before = listOf(folder);
    expect(browsersIn(await uninstallRoots(realMachine(), [root]))).toEqual([['Chromium', 'absent']]);
    expect(listOf(folder)).toBe(before);
    expect(before).toContain(root.commonName);
  });

  test('that got the root by hand, under another name, say so and are not called empty', async () => {
    const folder = database('.pki/nssdb');
    Bun.spawnSync(['certutil', '-A', '-t', 'C,,', '-n', 'by hand', '-i', root.file, '-d', `sql:${folder}`]);
    const before = listOf(folder);
    expect(browsersIn(await installRoots(realMachine(), root, []))).toEqual([['Chromium', 'present']]);
    const [, report] = await uninstallRoots(realMachine(), [root]);
    expect(report).toMatchObject({ result: 'failed', message: expect.stringContaining('as "by hand"') });
    expect(listOf(folder)).toBe(before);
  });

  test('may lie in folders with spaces and letters of any kind, and may have distrusted the root', async () => {
    const folder = database('.mozilla/firefox/ab cd.日本 -n profile');
    Bun.spawnSync([
      'certutil',
      '-A',
      '-t',
      'p,,',
      '-n',
      root.commonName,
      '-i',
      root.file,
      '-d',
      `sql:${folder}`,
    ]);
    const name = 'Firefox ab cd.日本 -n profile';
    expect(browsersIn(await installRoots(realMachine(), root, []))).toEqual([[name, 'added']]);
    expect(browsersIn(await installRoots(realMachine(), root, []))).toEqual([[name, 'present']]);
    expect(browsersIn(await uninstallRoots(realMachine(), [root]))).toEqual([[name, 'removed']]);
  });

  test('of another user are left to that user', async () => {
    database('.pki/nssdb');
    const machine = { ...realMachine(), uid: (process.getuid?.() ?? 0) + 1 };
    const [, report] = await installRoots(machine, root, []);
    expect(report).toMatchObject({ result: 'skipped', message: expect.stringContaining('without sudo') });
  });

  test('cannot be changed without certutil, and it is said how to get it', async () => {
    database('.pki/nssdb');
    const [, report] = await installRoots(
      realMachine(() => false),
      root,
      [],
    );
    expect(report).toMatchObject({
      result: 'failed',
      message: expect.stringContaining('apt install libnss3-tools'),
    });
  });
});
