/** The key of security.db: where it is kept, what opens it again, and that a missing one is never a fresh start. */
import { describe, expect, test } from 'bun:test';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestDir, testDir } from '../test/support/data-dir';
import { errorOf } from '../test/support/thrown';
import { type Keychain, openSeal, type Seal } from './seal';
import { openSqlite } from './sqlite';

/** A keychain in memory; `broken` says what goes wrong with it. */
function fakeKeychain(broken: 'locked' | 'absent' | 'forgetful' | 'unreadable' | null = null) {
  const entries = new Map<string, string>();
  let trouble = broken;
  const fail = () =>
    Promise.reject(Object.assign(new Error('no D-Bus here.'), { code: 'ERR_SECRETS_PLATFORM_ERROR' }));
  const keychain: Keychain = {
    get({ service, name }) {
      if (trouble === 'absent' || trouble === 'unreadable') return fail();
      return Promise.resolve(trouble === 'locked' ? null : (entries.get(`${service}/${name}`) ?? null));
    },
    set({ service, name, value }) {
      if (trouble === 'absent' || trouble === 'locked') return fail();
      entries.set(`${service}/${name}`, trouble === 'forgetful' ? '' : value);
      return Promise.resolve();
    },
    delete: ({ service, name }) => Promise.resolve(entries.delete(`${service}/${name}`)),
  };
  const breaks = (next: typeof broken): void => {
    trouble = next;
  };
  return { keychain, entries, breaks };
}

/** Opens security.db as it is meant to be opened, and closes it again. */
function useDatabase(data: TestDir, { key }: Seal): void {
  const sqlite = openSqlite(data.paths.securityDb, { key, addon: null });
  sqlite.exec('CREATE TABLE IF NOT EXISTS t (x TEXT)');
  sqlite.close();
}

/** Names, bytes and modes of all files. */
function snapshot(data: TestDir): unknown {
  return readdirSync(data.dir).map((name) => {
    const path = join(data.dir, name);
    return [name, readFileSync(path).toString('hex'), statSync(path).mode];
  });
}

const PASSPHRASE = { FLM_DATABASE_PASSPHRASE: 'correct horse battery staple' };
const HEX = /^[0-9a-f]{64}$/;

describe('the first start', () => {
  test('puts the key into the keychain where there is one, and nowhere else', async () => {
    using data = testDir();
    const { keychain, entries } = fakeKeychain();
    const seal = await openSeal(data.paths, {}, keychain);
    const [[name = '', hex = ''] = []] = entries;
    expect(seal.source).toBe('keychain');
    expect(name).toStartWith('flm.security.db/');
    expect(hex).toMatch(HEX);
    expect(seal.key.bytes.toString()).toBe(`raw:${hex}`);
    expect(readdirSync(data.dir)).toEqual(['security.key.json']);
    expect(readFileSync(data.paths.sealInfo, 'utf8')).not.toContain(hex);
  });

  test.each(['locked', 'absent', 'forgetful', 'unreadable'] as const)(
    'takes a key file where the keychain is %s, and leaves nothing there',
    async (trouble) => {
      using data = testDir();
      const { keychain, entries } = fakeKeychain(trouble);
      const seal = await openSeal(data.paths, {}, keychain);
      expect(seal.source).toBe('file');
      expect([...entries.values()]).toEqual([]);
      // Once it works again, the key file still counts.
      expect((await openSeal(data.paths, {}, fakeKeychain().keychain)).source).toBe('file');
    },
  );

  test('takes a key file where the keychain is switched off, both files for their owner only', async () => {
    using data = testDir();
    const umask = process.umask(0);
    const seal = await openSeal(data.paths, {}, null);
    process.umask(umask);
    const hex = readFileSync(data.paths.keyFile, 'utf8').trim();
    expect([seal.source, seal.key.bytes.toString()]).toEqual(['file', `raw:${hex}`]);
    expect(hex).toMatch(HEX);
    for (const path of [data.paths.keyFile, data.paths.sealInfo])
      expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(data.paths.sealInfo, 'utf8')).not.toContain(hex);
  });

  test('takes a passphrase before anything else, and keeps it nowhere', async () => {
    using data = testDir();
    const { keychain, entries } = fakeKeychain();
    const seal = await openSeal(data.paths, PASSPHRASE, keychain);
    expect([seal.source, seal.key.bytes.toString()]).toEqual([
      'passphrase',
      PASSPHRASE.FLM_DATABASE_PASSPHRASE,
    ]);
    expect([readdirSync(data.dir), entries.size]).toEqual([['security.key.json'], 0]);
    expect(readFileSync(data.paths.sealInfo, 'utf8')).not.toContain('horse');
  });

  test('makes another key for every installation', async () => {
    const keys = new Set<string>();
    for (let i = 0; i < 5; i++) {
      using data = testDir();
      keys.add((await openSeal(data.paths, {}, null)).key.bytes.toString());
    }
    expect(keys.size).toBe(5);
  });
});

describe('a later start', () => {
  test.each([
    ['keychain', {}, true],
    ['file', {}, false],
    ['passphrase', PASSPHRASE, false],
  ] as const)('finds the same key again: %s', async (source, env, withKeychain) => {
    using data = testDir();
    const keychain = withKeychain ? fakeKeychain().keychain : null;
    const first = await openSeal(data.paths, env, keychain);
    useDatabase(data, first);
    const before = snapshot(data);
    const again = await openSeal(data.paths, env, keychain);
    expect([first.source, again]).toEqual([source, first]);
    useDatabase(data, again);
    expect(snapshot(data)).toEqual(before);
  });

  test('stays with the place the key is in, whatever else has turned up since', async () => {
    using data = testDir();
    const file = await openSeal(data.paths, {}, null);
    expect(await openSeal(data.paths, PASSPHRASE, fakeKeychain().keychain)).toEqual(file);
  });

  test('goes on where a first start was killed between its files', async () => {
    using data = testDir();
    const first = await openSeal(data.paths, {}, null);
    rmSync(data.paths.sealInfo);
    const again = await openSeal(data.paths, {}, fakeKeychain().keychain);
    expect(again).toEqual(first);
    expect(JSON.parse(readFileSync(data.paths.sealInfo, 'utf8'))).toMatchObject({
      version: 1,
      source: 'file',
    });
  });

  test('takes a passphrase when the note about the key is gone: opening the file tells whether it fits', async () => {
    using data = testDir();
    useDatabase(data, await openSeal(data.paths, PASSPHRASE, null));
    rmSync(data.paths.sealInfo);
    const seal = await openSeal(data.paths, PASSPHRASE, null);
    useDatabase(data, seal);
    const wrong = await openSeal(data.paths, { FLM_DATABASE_PASSPHRASE: 'wrong' }, null);
    expect((await errorOf(() => useDatabase(data, wrong))).code).toBe('DB_KEY_WRONG');
  });
});

describe('a key that is not here is an error, and changes nothing', () => {
  type Keep = { readonly data: TestDir; readonly chain: ReturnType<typeof fakeKeychain> };
  const write = (text: string | Buffer, which: 'keyFile' | 'sealInfo') => (keep: Keep) =>
    writeFileSync(keep.data.paths[which], text);
  const remove = (which: 'keyFile' | 'sealInfo') => (keep: Keep) => rmSync(keep.data.paths[which]);

  test.each<[string, 'keychain' | 'file' | 'passphrase', (keep: Keep) => void, string]>([
    ['the key file is gone', 'file', remove('keyFile'), 'security.key is gone'],
    ['the key file is empty', 'file', write('', 'keyFile'), 'not 64 hexadecimal digits'],
    ['the key file is cut short', 'file', write('ab'.repeat(31), 'keyFile'), 'not 64 hexadecimal digits'],
    [
      'the key file holds something else',
      'file',
      write(Buffer.alloc(32, 200), 'keyFile'),
      'not 64 hexadecimal digits',
    ],
    [
      'the key file holds two keys',
      'file',
      write(`${'a'.repeat(64)}\n${'b'.repeat(64)}`, 'keyFile'),
      'not 64 hexa',
    ],
    ['the note is no JSON', 'file', write('{', 'sealInfo'), 'security.key.json is damaged'],
    ['the note is empty', 'keychain', write('', 'sealInfo'), 'security.key.json is damaged'],
    [
      'the note is of another version',
      'file',
      write('{"version":2,"source":"file","id":"x"}', 'sealInfo'),
      'is damaged',
    ],
    [
      'the note names no place there is',
      'file',
      write('{"version":1,"source":"usb","id":"x"}', 'sealInfo'),
      'is damaged',
    ],
    [
      'the note names no entry',
      'keychain',
      write('{"version":1,"source":"keychain"}', 'sealInfo'),
      'is damaged',
    ],
    ['the note is null', 'file', write('null', 'sealInfo'), 'is damaged'],
    [
      'the note is gone and the key in the keychain',
      'keychain',
      remove('sealInfo'),
      'security.key.json is gone',
    ],
    ['the passphrase is not set', 'passphrase', () => {}, 'FLM_DATABASE_PASSPHRASE is not set'],
    ['note and passphrase are gone', 'passphrase', remove('sealInfo'), 'security.key.json is gone'],
    ['the keychain is locked', 'keychain', ({ chain }) => chain.breaks('locked'), 'has no entry'],
    ['the keychain has lost it', 'keychain', ({ chain }) => chain.entries.clear(), 'has no entry'],
    [
      'the keychain fails',
      'keychain',
      ({ chain }) => chain.breaks('absent'),
      'does not answer (no D-Bus here)',
    ],
    [
      'the keychain holds something else',
      'keychain',
      ({ chain }) => {
        for (const name of chain.entries.keys()) chain.entries.set(name, 'not a key');
      },
      'not 64 hexadecimal digits',
    ],
  ])('%s', async (_, source, breakIt, reason) => {
    using data = testDir();
    const chain = fakeKeychain(source === 'keychain' ? null : 'absent');
    useDatabase(data, await openSeal(data.paths, source === 'passphrase' ? PASSPHRASE : {}, chain.keychain));
    const secrets = [...chain.entries.values()];
    breakIt({ data, chain });
    const before = snapshot(data);
    const entries = [...chain.entries];
    const error = await errorOf(() => openSeal(data.paths, {}, chain.keychain));
    expect([error.code, error.exit]).toEqual(['DB_KEY_MISSING', 3]);
    expect(error.message).toContain(reason);
    expect(secrets.filter((secret) => (error.message + error.hint).includes(secret))).toEqual([]);
    expect([snapshot(data), [...chain.entries]]).toEqual([before, entries]);
  });

  test('the keychain is switched off', async () => {
    using data = testDir();
    useDatabase(data, await openSeal(data.paths, {}, fakeKeychain().keychain));
    const error = await errorOf(() => openSeal(data.paths, {}, null));
    expect([error.code, error.message.includes('FLM_DISABLE_KEYRING')]).toEqual(['DB_KEY_MISSING', true]);
  });

  test('an unreadable place is IO_ERROR', async () => {
    using data = testDir();
    mkdirSync(data.paths.keyFile);
    expect((await errorOf(() => openSeal(data.paths, {}, null))).code).toBe('IO_ERROR');
  });
});
