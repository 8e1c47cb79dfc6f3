/**
 * The key of security.db and where it lives: the OS keychain, a 0600 key file, or a passphrase in the environment.
 * security.key.json remembers which, so that a key that went missing is an error and never a fresh start.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { FlmError, reasonOf } from '../src/lib/errors';
import { writeFileAtomic } from '../src/lib/files';
import { newId } from '../src/lib/ids';
import type { Env, Paths } from '../src/lib/paths';
import type { CipherKey } from './sqlite';

export type SealSource = 'keychain' | 'file' | 'passphrase';

export interface Seal {
  readonly source: SealSource;
  readonly key: CipherKey;
}

/** The part of Bun.secrets that is used. Every failure of it is an ERR_SECRETS_PLATFORM_ERROR. */
export interface Keychain {
  get(options: { service: string; name: string }): Promise<string | null>;
  set(options: { service: string; name: string; value: string }): Promise<void>;
  delete(options: { service: string; name: string }): Promise<boolean>;
}

interface SealInfo {
  readonly version: 1;
  readonly source: SealSource;
  /** The name of the keychain entry. */
  readonly id: string;
}

const SERVICE = 'flm.security.db';

/**
 * Finds the key, or makes one when there is neither a database nor a trace of a key.
 * @throws DB_KEY_MISSING when the database was sealed with a key that is not here; IO_ERROR.
 */
export async function openSeal(paths: Paths, env: Env, keychain: Keychain | null): Promise<Seal> {
  const info = readInfo(paths);
  if (info !== null) return unseal(info, paths, env, keychain);
  if (existsSync(paths.keyFile)) return remember('file', newId(), paths, readKeyFile(paths));
  if (existsSync(paths.securityDb)) {
    // A passphrase is the one key that leaves no trace of its own: try it, opening the file will tell.
    if (env.FLM_DATABASE_PASSPHRASE) return passphrase(env.FLM_DATABASE_PASSPHRASE);
    throw new FlmError('DB_KEY_MISSING', { meta: { reason: `${paths.sealInfo} is gone` } });
  }
  return makeSeal(paths, env, keychain);
}

async function makeSeal(paths: Paths, env: Env, keychain: Keychain | null): Promise<Seal> {
  const id = newId();
  if (env.FLM_DATABASE_PASSPHRASE)
    return remember('passphrase', id, paths, passphrase(env.FLM_DATABASE_PASSPHRASE).key);
  const hex = randomBytes(32).toString('hex');
  if (keychain !== null && (await storeInKeychain(keychain, id, hex))) {
    return remember('keychain', id, paths, rawKey(hex, `the keychain (${SERVICE})`));
  }
  writeFileAtomic(paths.keyFile, `${hex}\n`);
  return remember('file', id, paths, readKeyFile(paths));
}

/** A locked or absent keyring answers `get` with null and fails only on `set`, so the entry is read back. */
async function storeInKeychain(keychain: Keychain, id: string, hex: string): Promise<boolean> {
  const entry = { service: SERVICE, name: id };
  try {
    await keychain.set({ ...entry, value: hex });
    if ((await keychain.get(entry)) === hex) return true;
  } catch {
    // No usable keychain on this machine: the key file takes its place.
  }
  await keychain.delete(entry).catch(() => {}); // Nobody would look for it again.
  return false;
}

async function unseal(info: SealInfo, paths: Paths, env: Env, keychain: Keychain | null): Promise<Seal> {
  switch (info.source) {
    case 'file':
      if (existsSync(paths.keyFile)) return { source: 'file', key: readKeyFile(paths) };
      throw new FlmError('DB_KEY_MISSING', { meta: { reason: `${paths.keyFile} is gone` } });
    case 'passphrase':
      if (env.FLM_DATABASE_PASSPHRASE) return passphrase(env.FLM_DATABASE_PASSPHRASE);
      throw new FlmError('DB_KEY_MISSING', { meta: { reason: 'FLM_DATABASE_PASSPHRASE is not set' } });
    case 'keychain': {
      const hex = await readKeychain(keychain, info.id);
      return { source: 'keychain', key: rawKey(hex, `the keychain (${SERVICE})`) };
    }
  }
}

async function readKeychain(keychain: Keychain | null, id: string): Promise<string> {
  const missing = (reason: string, cause?: unknown) =>
    new FlmError('DB_KEY_MISSING', { meta: { reason }, cause });
  if (keychain === null) throw missing('it is in the OS keychain, which FLM_DISABLE_KEYRING switches off');
  try {
    const hex = await keychain.get({ service: SERVICE, name: id });
    if (hex !== null) return hex;
  } catch (error) {
    throw missing(`the OS keychain does not answer (${reasonOf(error)})`, error);
  }
  throw missing(`the OS keychain has no entry "${SERVICE}" / "${id}", or is locked`);
}

function passphrase(text: string): Seal {
  // SQLite Multiple Ciphers stretches a passphrase with Argon2id; that costs about 50 ms per opening.
  return {
    source: 'passphrase',
    key: { bytes: Buffer.from(text, 'utf8'), source: 'FLM_DATABASE_PASSPHRASE' },
  };
}

function rawKey(hex: string, source: string): CipherKey {
  if (!/^[0-9a-f]{64}$/.test(hex)) {
    throw new FlmError('DB_KEY_MISSING', {
      meta: { reason: `the key in ${source} is not 64 hexadecimal digits` },
    });
  }
  return { bytes: Buffer.from(`raw:${hex}`, 'utf8'), source };
}

function readKeyFile(paths: Paths): CipherKey {
  return rawKey(readText(paths.keyFile).trim(), paths.keyFile);
}

function remember(source: SealSource, id: string, paths: Paths, key: CipherKey): Seal {
  const info: SealInfo = { version: 1, source, id };
  writeFileAtomic(paths.sealInfo, `${JSON.stringify(info)}\n`);
  return { source, key };
}

function readInfo(paths: Paths): SealInfo | null {
  if (!existsSync(paths.sealInfo)) return null;
  try {
    const info = JSON.parse(readText(paths.sealInfo)) as Partial<SealInfo>;
    if (info.version === 1 && typeof info.id === 'string' && isSource(info.source)) {
      return { version: 1, source: info.source, id: info.id };
    }
  } catch (error) {
    if (error instanceof FlmError) throw error;
    // Falls through: not JSON is as unusable as the wrong fields.
  }
  throw new FlmError('DB_KEY_MISSING', { meta: { reason: `${paths.sealInfo} is damaged` } });
}

function isSource(value: unknown): value is SealSource {
  return value === 'keychain' || value === 'file' || value === 'passphrase';
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new FlmError('IO_ERROR', { meta: { path, reason: reasonOf(error) }, cause: error });
  }
}
