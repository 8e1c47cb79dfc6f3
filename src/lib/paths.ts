/** Where FLM keeps its files (design §3 "Files"). Names only; whoever writes a file creates it. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export interface Paths {
  /** The data directory, 0700. */
  readonly dir: string;
  readonly configDb: string;
  readonly securityDb: string;
  readonly lockDb: string;
  /** Which key opens security.db, and where it is; never the key itself. */
  readonly sealInfo: string;
  readonly keyFile: string;
  readonly configToml: string;
  readonly runDir: string;
  readonly adminSocket: string;
  /** Native parts unpacked from the executable. */
  readonly libDir: string;
  readonly trialDir: string;
  /** The request log, a database a day. */
  readonly activityDir: string;
  /** Log files, where the owner wants them. */
  readonly logsDir: string;
  /** What was left behind by an FLM that broke down. */
  readonly crashDir: string;
  /** Public certificates, for people and programs that have to trust them. Never a key. */
  readonly certsDir: string;
}

export type Env = Readonly<Record<string, string | undefined>>;

/** The data directory: FLM_DATA_DIR, else the platform's place for application data. */
export function dataDir(env: Env, platform: NodeJS.Platform = process.platform): string {
  if (env.FLM_DATA_DIR) return resolve(env.FLM_DATA_DIR);
  const home = env.HOME || homedir();
  if (platform === 'darwin') return join(home, 'Library', 'Application Support', 'flm');
  if (platform === 'win32') return join(env.LOCALAPPDATA || join(home, 'AppData', 'Local'), 'flm');
  return join(env.XDG_DATA_HOME || join(home, '.local', 'share'), 'flm');
}

export function pathsIn(dir: string, platform: NodeJS.Platform = process.platform): Paths {
  const runDir = join(dir, 'run');
  return {
    dir,
    configDb: join(dir, 'config.db'),
    securityDb: join(dir, 'security.db'),
    lockDb: join(dir, 'lock.db'),
    sealInfo: join(dir, 'security.key.json'),
    keyFile: join(dir, 'security.key'),
    configToml: join(dir, 'flm.toml'),
    runDir,
    adminSocket: socketPath(join(runDir, 'admin.sock'), platform),
    libDir: join(dir, 'lib'),
    trialDir: join(dir, 'trial'),
    activityDir: join(dir, 'activity'),
    logsDir: join(dir, 'logs'),
    crashDir: join(dir, 'logs', 'crashes'),
    certsDir: join(dir, 'certs'),
  };
}

/** FLM's own log. */
export function logPathIn(logsDir: string): string {
  return join(logsDir, 'flm.log');
}

/** What a socket's path may take, in bytes (sun_path). */
export const MAX_SOCKET_PATH = 100;

/**
 * The socket of a data directory that is too deep is in a folder of its user's. Not below $TMPDIR, which may be another
 * one for FLM than for the command that looks for it. Linux has a short way to any folder (src/admin/socket.ts).
 */
function socketPath(preferred: string, platform: NodeJS.Platform): string {
  if (platform === 'linux' || Buffer.byteLength(preferred) <= MAX_SOCKET_PATH) return preferred;
  const digest = new Bun.CryptoHasher('sha256').update(preferred).digest('hex').slice(0, 16);
  return join('/tmp', `flm-${process.getuid?.() ?? 0}`, `${digest}.sock`);
}
