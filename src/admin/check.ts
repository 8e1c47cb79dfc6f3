/** `flm check`: puts the findings about databases, files, keys, settings and engines into one report (FLM-038). */
import { existsSync, readdirSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { ApiKey, KeysApi } from '../admission';
import type { ConfigApi } from '../config';
import type { Clock, EngineState } from '../contract';
import { reasonOf } from '../lib/errors';
import type { Paths } from '../lib/paths';
import type { CheckReport, Status } from './model';

export interface CheckOptions {
  readonly paths: Paths;
  readonly sealedBy: NonNullable<Status['security_db_key']>;
  readonly databases: () => Promise<
    readonly { readonly name: string; readonly ok: boolean; readonly message: string }[]
  >;
  readonly keys: Pick<KeysApi, 'list'>;
  readonly config: Pick<ConfigApi, 'list'>;
  readonly engines: { refresh(maxAgeMs: number): Promise<void>; states(): readonly EngineState[] };
  readonly trial: { state(): { readonly installed: boolean } };
  readonly status: () => Pick<Status, 'admin' | 'proxies'>;
  readonly clock: Clock;
  /** What other rooms have to say of themselves. */
  readonly others: readonly (() => Promise<readonly Check[]>)[];
}

export type Check = CheckReport['checks'][number];

/** An engine's state of half a minute ago is good enough for a report. */
const FRESH_MS = 30_000;

export async function runChecks(options: CheckOptions): Promise<CheckReport> {
  const { items: keys } = await options.keys.list();
  const { items: settings } = await options.config.list();
  await options.engines.refresh(FRESH_MS);
  const databases = await options.databases();
  const active = keys.filter((key) => key.status === 'active').length;
  const changed = settings.filter((setting) => setting.source !== 'default');
  return reportOf([
    ...databases.map(({ name, ok, message }) => check(name, ok ? 'ok' : 'error', message)),
    check('security.db: key', 'ok', `from the ${KEY_PLACES[options.sealedBy]}`),
    ...checkModes(options.paths),
    checkSpace(options.paths.dir),
    checkClock(
      keys.map((key) => key.created_at),
      options.clock.nowMs(),
    ),
    ...checkCrashes(options.paths.crashDir, options.clock.nowMs()),
    active > 0
      ? check('API keys', 'ok', `${active} usable of ${keys.length}`)
      : check(
          'API keys',
          'warning',
          'none is usable, so nobody can use FLM: flm api-keys create --label my-app',
        ),
    ...checkUncollected(keys),
    check(
      'settings',
      'ok',
      changed.length === 0 ? 'all default' : changed.map(({ key, value }) => `${key}=${value}`).join(', '),
    ),
    ...checkAdminPort(options.status().admin),
    ...checkProxies(options.status().proxies),
    ...checkEngines(options.engines.states(), options.trial.state().installed),
    ...(await Promise.all(options.others.map(findingsOf))).flat(),
  ]);
}

/** What a room that cannot even be asked has to say. */
async function findingsOf(ask: () => Promise<readonly Check[]>): Promise<readonly Check[]> {
  try {
    return await ask();
  } catch (error) {
    return [check('check', 'error', reasonOf(error))];
  }
}

/** The report around checks: as bad as the worst of them. */
export function reportOf(checks: readonly Check[]): CheckReport {
  const has = (status: Check['status']) => checks.some((entry) => entry.status === status);
  return { status: has('error') ? 'error' : has('warning') ? 'warning' : 'ok', checks: [...checks] };
}

const KEY_PLACES: Readonly<Record<CheckOptions['sealedBy'], string>> = {
  keychain: 'keychain of the operating system',
  file: 'file security.key beside it',
  passphrase: 'passphrase in FLM_DATABASE_PASSPHRASE',
};

function check(name: string, status: Check['status'], message: string): Check {
  return { name, status, message };
}

/** Nobody but the owner may read these (FLM-126). Windows keeps permissions elsewhere. */
function checkModes(paths: Paths): Check[] {
  if (process.platform === 'win32') return [];
  const files = [paths.configDb, paths.securityDb, paths.lockDb, paths.keyFile, paths.sealInfo];
  const sidecars = files.flatMap((file) => [`${file}-wal`, `${file}-shm`]);
  const folders = [paths.runDir, paths.activityDir, paths.logsDir, paths.crashDir];
  const inside = folders.flatMap((folder) => [folder, ...filesIn(folder)]);
  const open = [paths.dir, ...files, ...sidecars, ...inside].filter(
    (path) => (statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o077,
  );
  return [
    open.length === 0
      ? check('permissions', 'ok', 'only you can read the files')
      : check('permissions', 'error', `others can get at ${open.join(', ')}: chmod go-rwx them`),
  ];
}

/** A saved proxy that cannot listen is missed by its clients first. */
function checkProxies(proxies: Status['proxies']): Check[] {
  return proxies
    .filter(({ last_error: reason }) => reason !== null)
    .map(({ id, last_error: reason }) => check(`proxy ${id}`, 'warning', `it does not run: ${reason}`));
}

/** Nothing to say where none is wanted, or nobody is there to open it. */
function checkAdminPort({ url, reason }: Status['admin']): Check[] {
  if (url !== null) return [check('admin API', 'ok', `for browsers at ${url}`)];
  return reason === null ? [] : [check('admin API', 'warning', `browsers cannot reach it: ${reason}`)];
}

/** The clients of a key that was replaced by itself need the new one before the grace is over. */
function checkUncollected(keys: readonly ApiKey[]): Check[] {
  return keys
    .filter((key) => key.is_uncollected)
    .map(({ id, label, rotated_from: old }) => {
      const end = keys.find((key) => key.id === old)?.revoked_at ?? null;
      const until = end === null ? '' : `; the old one works until ${end}`;
      const message = `"${label}" has a new key that nobody has fetched${until}: flm api-keys collect ${id}`;
      return check(`API key ${id}`, 'warning', message);
    });
}

function filesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(folder, entry.name));
}

/** Below this nothing can be written soon, and below that hardly anything is written now. */
const LOW_BYTES = 1_073_741_824;
const EMPTY_BYTES = 67_108_864;

function checkSpace(dir: string): Check {
  const { bavail, bsize } = statfsSync(dir);
  const freeBytes = bavail * bsize;
  const message = `${(freeBytes / 1e9).toFixed(1)} GB free for ${dir}`;
  if (freeBytes >= LOW_BYTES) return check('disk', 'ok', message);
  return check('disk', freeBytes < EMPTY_BYTES ? 'error' : 'warning', `only ${message}: make room`);
}

/** When this was written. Before it there was no FLM. */
const EPOCH_MS = Date.UTC(2026, 0, 1);
const SKEW_MS = 300_000;

/** A clock that is wrong lets keys live too long, or end too soon. */
function checkClock(written: readonly string[], nowMs: number): Check {
  const latestMs = Math.max(EPOCH_MS, ...written.map((time) => Date.parse(time)));
  const now = new Date(nowMs).toISOString();
  if (nowMs + SKEW_MS >= latestMs) return check('clock', 'ok', 'not behind what FLM has written');
  const latest = new Date(latestMs).toISOString();
  return check('clock', 'error', `it is ${now} by this machine, and was ${latest} before: set the clock`);
}

const WEEK_MS = 604_800_000;

/** Files that an FLM that broke down has left (telemetry/crash.ts). */
function checkCrashes(crashDir: string, nowMs: number): Check[] {
  const recent = filesIn(crashDir).filter((path) => nowMs - statSync(path).mtimeMs < WEEK_MS);
  const latest = recent.toSorted().at(-1);
  if (latest === undefined) return [check('crashes', 'ok', 'none in the last week')];
  const times = recent.length === 1 ? 'once' : `${recent.length} times`;
  const message = `FLM broke down ${times} in the last week: ${latest} (flm support bundle collects what helps to find out why)`;
  return [check('crashes', 'warning', message)];
}

function checkEngines(states: readonly EngineState[], trialInstalled: boolean): Check[] {
  if (states.length === 0 && trialInstalled)
    return [check('engines', 'ok', 'none runs; the trial engine is installed and starts with FLM')];
  if (states.length === 0)
    return [check('engines', 'warning', 'none found: start one, or try "flm engines try"')];
  return states.map(({ ref, status, reason, models }) =>
    status === 'running-healthy'
      ? check(
          `engine ${ref.id}`,
          'ok',
          `${models.length} ${models.length === 1 ? 'model' : 'models'} at ${ref.baseUrl}`,
        )
      : check(`engine ${ref.id}`, 'warning', `${status}: ${reason ?? 'no reason known'}`),
  );
}
