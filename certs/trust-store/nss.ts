/** The databases of Firefox and Chromium on Linux (NSS): one per profile, also inside Snap and Flatpak. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pemBlocks } from '../certificate';
import { type ClosedStore, runOrThrow, type TrustMachine, type TrustRoot, type TrustStore } from './machine';

/** Folders with one database each. */
const SHARED = [
  ['Chromium', '.pki/nssdb'],
  ['Chromium', '.local/share/pki/nssdb'],
  ['Chromium (Snap)', 'snap/chromium/current/.pki/nssdb'],
  ['Chromium (Snap)', 'snap/chromium/current/.local/share/pki/nssdb'],
  ['Chromium (Flatpak)', '.var/app/org.chromium.Chromium/.pki/nssdb'],
  ['Chromium (Flatpak)', '.var/app/org.chromium.Chromium/data/pki/nssdb'],
  ['Chrome (Flatpak)', '.var/app/com.google.Chrome/.pki/nssdb'],
  ['Chrome (Flatpak)', '.var/app/com.google.Chrome/data/pki/nssdb'],
  ['Brave (Flatpak)', '.var/app/com.brave.Browser/.pki/nssdb'],
  ['Edge (Flatpak)', '.var/app/com.microsoft.Edge/.pki/nssdb'],
] as const;

/** Folders with a database in each of their folders. */
const PROFILES = [
  ['Firefox', '.mozilla/firefox'],
  ['Firefox', '.config/mozilla/firefox'],
  ['Firefox (Snap)', 'snap/firefox/common/.mozilla/firefox'],
  ['Firefox (Flatpak)', '.var/app/org.mozilla.firefox/.mozilla/firefox'],
  ['Firefox (Flatpak)', '.var/app/org.mozilla.firefox/config/mozilla/firefox'],
] as const;

/** Programs that read the user's shared database, which they make when they first need it. */
const CHROMIUMS = [
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
  'brave-browser',
  'microsoft-edge',
];

const NO_CERTUTIL =
  'certutil is not installed: apt install libnss3-tools, dnf install nss-tools or pacman -S nss, and then once more';

/** Trusted for servers only: neither for mail nor for code. */
const TRUST = 'C,,';

const OTHERS = 'it belongs to another user: run this once more without sudo';

/** `mayMake`: also the one that Chromium has not made yet. */
export function nssStores(machine: TrustMachine, mayMake: boolean): readonly (TrustStore | ClosedStore)[] {
  const found = databasesOf(machine, mayMake);
  const owner = statSync(machine.home, { throwIfNoEntry: false })?.uid;
  // What root writes there, its owner could not change any more.
  if (owner !== machine.uid)
    return found.map(({ name, path }) => ({ name, path, result: 'skipped', reason: OTHERS }));
  if (machine.has('certutil')) return found.map((database) => storeOf(machine, database));
  return found.map(({ name, path }) => ({ name, path, result: 'failed', reason: NO_CERTUTIL }));
}

interface Database {
  readonly name: string;
  readonly path: string;
}

function databasesOf(machine: TrustMachine, mayMake: boolean): Database[] {
  const { home } = machine;
  const shared = SHARED.map(([name, path]) => ({ name, path: join(home, path) })).filter(isDatabase);
  const profiles = PROFILES.flatMap(([name, path]) =>
    [...new Set([...foldersIn(join(home, path)), ...profilesElsewhere(join(home, path))])].map((folder) => ({
      name: `${name} ${basename(folder)}`,
      path: folder,
    })),
  ).filter(isDatabase);
  const isMissing = mayMake && !shared.some(({ name }) => name === 'Chromium') && CHROMIUMS.some(machine.has);
  const own = isMissing ? [{ name: 'Chromium', path: join(home, '.pki/nssdb') }] : [];
  return [...shared, ...own, ...profiles];
}

function isDatabase({ path }: Database): boolean {
  return existsSync(join(path, 'cert9.db'));
}

function foldersIn(path: string): string[] {
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .map((name) => join(path, name))
    .filter((entry) => statSync(entry, { throwIfNoEntry: false })?.isDirectory() === true);
}

/** Profiles that lie where their owner wants them: `IsRelative=0` in profiles.ini, with an absolute path. */
function profilesElsewhere(path: string): string[] {
  const file = join(path, 'profiles.ini');
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split(/^\[/m)
    .filter((section) => /^IsRelative=0\s*$/m.test(section))
    .flatMap((section) => /^Path=(\/.*)$/m.exec(section)?.[1]?.trim() ?? []);
}

function storeOf(machine: TrustMachine, { name, path }: Database): TrustStore {
  const certutil = (...words: readonly string[]) => ['certutil', ...words, '-d', `sql:${path}`];
  const isThere = () => isDatabase({ name, path });
  const isAt = async (nickname: string, root: TrustRoot) => {
    const { code, output } = await machine.run(certutil('-L', '-a', '-n', nickname));
    return code === 0 && isSame(output, root);
  };

  /** Under its own name, or under another one where somebody has put it there by hand; null: it is not there. */
  async function find(root: TrustRoot): Promise<Listed | null> {
    if (!isThere()) return null;
    const entries = listedIn((await machine.run(certutil('-L'))).output);
    const own = entries.filter(({ nickname }) => nickname === nicknameOf(root));
    for (const entry of [...own, ...entries.slice(0, MAX_LOOKED_AT)])
      if (await isAt(entry.nickname, root)) return entry;
    return null;
  }

  return {
    name,
    path,

    async has(root) {
      return /^CT?,/.test((await find(root))?.trust ?? '');
    },

    async add(root) {
      if (!isThere()) {
        // It lies in a folder of other programs, which may not be there either.
        mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
        mkdirSync(path, { recursive: true, mode: 0o700 });
        await runOrThrow(machine, certutil('-N', '--empty-password'));
      }
      await runOrThrow(machine, certutil('-A', '-t', TRUST, '-n', nicknameOf(root), '-i', root.file));
    },

    async remove(root) {
      const found = await find(root);
      if (found === null) return false;
      if (found.nickname !== nicknameOf(root))
        throw new Error(`it was put there by hand, as "${found.nickname}"; FLM removes only its own`);
      await runOrThrow(machine, certutil('-D', '-n', nicknameOf(root)));
      return true;
    },
  };
}

/** A line of certutil's list. */
interface Listed {
  readonly nickname: string;
  /** For servers, mail and code: `C,,`. */
  readonly trust: string;
}

/** Each is looked at by a program of its own. */
const MAX_LOOKED_AT = 50;

function listedIn(output: string): Listed[] {
  return output.split('\n').flatMap((line) => {
    const [, nickname, trust] = /^(\S.*?)\s+([a-zA-Z]*,[a-zA-Z]*,[a-zA-Z]*)\s*$/.exec(line) ?? [];
    return nickname === undefined || trust === undefined ? [] : [{ nickname, trust }];
  });
}

/** Unlike any other certificate's: two roots have two names, and one of FLM's never takes the place of another. */
function nicknameOf({ commonName }: TrustRoot): string {
  return commonName;
}

function isSame(output: string, { certificate }: TrustRoot): boolean {
  const [block] = pemBlocks(output);
  const text = block?.pem.replace(/-----[^-]+-----/g, '').replace(/\s/g, '');
  return text === certificate.toString('base64');
}
