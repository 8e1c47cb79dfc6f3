/** Taking a directory for FLM's own: made when it is not there, tightened when it is FLM's, refused when it is anything else. */
import { chmodSync, mkdirSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname } from 'node:path';
import { FlmError, reasonOf } from './errors';
import type { Env, Paths } from './paths';

const HINT = 'Set FLM_DATA_DIR to an empty directory of your own, or to one that does not exist yet.';

/** What a file system brings along. */
const NOBODYS = ['lost+found', '.DS_Store'];

/**
 * Makes the data directory with mode 0700, or tightens the one that is there. A directory that holds anything but FLM's
 * files is somebody's who wants it as it is: it is left alone.
 * @throws IO_ERROR
 */
export function ensureDataDir(paths: Paths, env: Env): void {
  const { dir } = paths;
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    if (process.platform === 'win32') return;
    const refusal = refusalOf(paths, env);
    if (refusal !== null)
      throw new FlmError('IO_ERROR', { meta: { path: dir, reason: refusal }, hint: HINT });
    const { mode, uid } = statSync(dir);
    // Root may look after somebody's FLM, but changes nothing about whose it is.
    if ((mode & 0o777) !== 0o700 && uid === process.getuid?.()) chmodSync(dir, 0o700);
  } catch (error) {
    if (error instanceof FlmError) throw error;
    throw new FlmError('IO_ERROR', { meta: { path: dir, reason: reasonOf(error) }, cause: error });
  }
}

/** Why the directory cannot be FLM's, or null. */
function refusalOf(paths: Paths, env: Env): string | null {
  const real = realpathSync(paths.dir);
  if (sharedPlaces(env).has(real)) return 'it is not for FLM alone';
  const entries = readdirSync(real);
  const holdsFlm = [paths.lockDb, paths.securityDb, paths.sealInfo].some((file) =>
    entries.includes(basename(file)),
  );
  if (holdsFlm) return null;
  const { uid } = statSync(real);
  if (uid !== process.getuid?.()) return 'it belongs to another user';
  const foreign = entries.find((name) => !NOBODYS.includes(name) && !isOurs(name, paths));
  return foreign === undefined ? null : `it holds files that are not FLM's, such as "${foreign}"`;
}

/** Whether a first start that was cut short, or an owner who wrote settings ahead of it, may have left that name. */
function isOurs(name: string, paths: Paths): boolean {
  const { dir, ...files } = paths;
  const own = Object.values(files).filter((file) => dirname(file) === dir);
  return own.some((file) => name === basename(file) || name.startsWith(`${basename(file)}.`));
}

/** Directories that others count on as they are, by their real paths. */
function sharedPlaces(env: Env): ReadonlySet<string> {
  const places = ['/', '/tmp', '/var/tmp', '/home', '/root', '/etc', '/usr', '/var', homedir(), env.HOME];
  return new Set(places.flatMap((place) => realOf(place)));
}

function realOf(path: string | undefined): string[] {
  try {
    return path ? [realpathSync(path)] : [];
  } catch {
    return []; // Not on this machine.
  }
}
