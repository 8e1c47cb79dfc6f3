/**
 * The two databases of an installation, opened, sealed and migrated (FLM-123): config.db plain, security.db
 * encrypted from its first byte. Only stores of rooms talk to them.
 */
import { existsSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import type { Clock } from '../src/contract';
import { ensureDataDir } from '../src/lib/data-dir';
import { FlmError } from '../src/lib/errors';
import { sweep, temporaryOf } from '../src/lib/files';
import type { Env, Paths } from '../src/lib/paths';
import { loadAddon } from './addon';
import * as configSchema from './config/schema';
import { type DaySeal, daySeal } from './days';
import { embedMigrations } from './embed' with { type: 'macro' };
import { acquireLock, type Lock } from './lock';
import { migrate } from './migrate';
import { type Keychain, openSeal, type SealSource } from './seal';
import * as securitySchema from './security/schema';
import { type CipherKey, type Db, openSqlite, refuseForeignObjects, type Sqlite, withSchema } from './sqlite';

export { checkDatabases, type DatabaseFiles, type DbFinding } from './check';
export type { DaySeal, SealSource };
export { configSchema, securitySchema };
export type ConfigDb = Db<typeof configSchema>;
export type SecurityDb = Db<typeof securitySchema>;

export interface Databases {
  readonly config: ConfigDb;
  readonly security: SecurityDb;
  /** Where the key of security.db came from. */
  readonly sealedBy: SealSource;
  /** Opens the files of the request log, which have the same key. */
  readonly daySeal: DaySeal;
  /** True when this call made config.db, that is on the very first start. */
  readonly firstStart: boolean;
  /** From here on no statement waits for another process for longer than a moment. */
  hurry(): void;
  /** Leaves the data directory to another process: from here on both files are only read, and what writes fails. */
  pause(): void;
  /** Takes the data directory back, waiting at most `lockWaitMs` for whoever has it. @throws DB_LOCKED */
  resume(lockWaitMs: number): void;
  /** Closes both files and frees the data directory. */
  close(): void;
}

export interface OpenDatabasesOptions {
  readonly paths: Paths;
  readonly env: Env;
  readonly clock: Clock;
  /** How long to wait for another FLM process on the same directory. */
  readonly lockWaitMs: number;
}

/** How long a statement waits for another process once FLM is to stop. */
const HURRIED_MS = 200;

/**
 * Takes the data directory and opens both databases, creating and migrating what is not there.
 * @throws DB_LOCKED, DB_KEY_MISSING, DB_KEY_WRONG, DB_MISSING, DB_DAMAGED, DB_ERROR, MIGRATION_FAILED, IO_ERROR
 */
export async function openDatabases(options: OpenDatabasesOptions): Promise<Databases> {
  const { paths, env, clock } = options;
  ensureDataDir(paths, env);
  const addon = await loadAddon(paths.libDir);
  const opened: (Sqlite | Lock)[] = [];
  const close = () => {
    for (const item of opened.reverse().splice(0)) 'release' in item ? item.release() : item.close();
  };
  try {
    const lock = (waitMs: number) => acquireLock(paths.lockDb, paths.dir, waitMs, addon);
    let held = lock(options.lockWaitMs);
    opened.push({ release: () => held.release() });
    // Half a file of the key may be half a key. Whoever holds the lock is the only one who writes such files here.
    sweep(paths.dir, temporaryOf);
    const firstStart = !existsSync(paths.configDb);
    if (!firstStart) requireSecurityDb(paths);
    const seal = await openSeal(paths, env, keychainOf(env));
    const open = (path: string, key: CipherKey | null) => {
      const sqlite = openSqlite(path, { key, addon });
      opened.push(sqlite);
      refuseForeignObjects(sqlite, basename(path));
      return sqlite;
    };
    // In this order: where config.db is there, security.db was there before it.
    const security = open(paths.securityDb, seal.key);
    migrate(security, basename(paths.securityDb), embedMigrations('security'), clock);
    const config = open(paths.configDb, null);
    migrate(config, basename(paths.configDb), embedMigrations('config'), clock);
    return {
      config: withSchema(config, configSchema),
      security: withSchema(security, securitySchema),
      sealedBy: seal.source,
      daySeal: daySeal(seal.key, paths.libDir),
      firstStart,
      hurry() {
        for (const sqlite of [config, security]) sqlite.pragma(`busy_timeout = ${HURRIED_MS}`);
      },
      pause() {
        // Reading goes on: keys that end must be seen to end by requests that are still under way here.
        for (const sqlite of [config, security]) sqlite.pragma('query_only = ON');
        held.release();
      },
      resume(lockWaitMs) {
        held = lock(lockWaitMs);
        for (const sqlite of [config, security]) sqlite.pragma('query_only = OFF');
      },
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/**
 * Whoever lost security.db lost every key with it: a new one would be a fresh start that nobody asked for.
 * @throws DB_MISSING when there is a key that opened one
 */
function requireSecurityDb({ securityDb, sealInfo, keyFile }: Paths): void {
  if (!existsSync(sealInfo) && !existsSync(keyFile)) return;
  const bytes = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  // All of it may still be in the journal.
  if (bytes(securityDb) > 0 || (existsSync(securityDb) && bytes(`${securityDb}-wal`) > 0)) return;
  const state = existsSync(securityDb) ? 'empty' : 'gone';
  throw new FlmError('DB_MISSING', { meta: { state } });
}

function keychainOf(env: Env): Keychain | null {
  const disabled = /^(1|true|yes)$/i.test(env.FLM_DISABLE_KEYRING ?? '');
  return disabled ? null : Bun.secrets;
}
