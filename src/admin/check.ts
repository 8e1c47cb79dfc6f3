/** `flm check`: puts the findings about databases, files, keys, settings and engines into one report (FLM-038). */
import { existsSync, statSync } from 'node:fs';
import type { KeysApi } from '../admission';
import type { ConfigApi } from '../config';
import type { EngineState } from '../contract';
import type { Paths } from '../lib/paths';
import type { CheckReport, Status } from './model';

export interface CheckOptions {
  readonly paths: Paths;
  readonly sealedBy: Status['security_db_key'];
  readonly databases: () => readonly {
    readonly name: string;
    readonly ok: boolean;
    readonly message: string;
  }[];
  readonly keys: Pick<KeysApi, 'list'>;
  readonly config: Pick<ConfigApi, 'list'>;
  readonly engines: { refresh(maxAgeMs: number): Promise<void>; states(): readonly EngineState[] };
  readonly trial: { state(): { readonly installed: boolean } };
  readonly status: () => Pick<Status, 'admin'>;
}

type Check = CheckReport['checks'][number];

/** An engine's state of half a minute ago is good enough for a report. */
const FRESH_MS = 30_000;

export async function runChecks(options: CheckOptions): Promise<CheckReport> {
  const { items: keys } = await options.keys.list();
  const { items: settings } = await options.config.list();
  await options.engines.refresh(FRESH_MS);
  const active = keys.filter((key) => key.status === 'active').length;
  const changed = settings.filter((setting) => setting.source !== 'default');
  return reportOf([
    ...options.databases().map(({ name, ok, message }) => check(name, ok ? 'ok' : 'error', message)),
    check('security.db: key', 'ok', `from the ${KEY_PLACES[options.sealedBy]}`),
    ...checkModes(options.paths),
    active > 0
      ? check('API keys', 'ok', `${active} usable of ${keys.length}`)
      : check(
          'API keys',
          'warning',
          'none is usable, so nobody can use FLM: flm api-keys create --label my-app',
        ),
    check(
      'settings',
      'ok',
      changed.length === 0 ? 'all default' : changed.map(({ key, value }) => `${key}=${value}`).join(', '),
    ),
    ...checkAdminPort(options.status().admin),
    ...checkEngines(options.engines.states(), options.trial.state().installed),
  ]);
}

/** The report around checks: as bad as the worst of them. */
export function reportOf(checks: readonly Check[]): CheckReport {
  const has = (status: Check['status']) => checks.some((entry) => entry.status === status);
  return { status: has('error') ? 'error' : has('warning') ? 'warning' : 'ok', checks: [...checks] };
}

const KEY_PLACES: Readonly<Record<Status['security_db_key'], string>> = {
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
  const open = [paths.dir, ...files, ...sidecars].filter(
    (path) => existsSync(path) && (statSync(path).mode & 0o077) !== 0,
  );
  return [
    open.length === 0
      ? check('permissions', 'ok', 'only you can read the files')
      : check('permissions', 'error', `others can get at ${open.join(', ')}: chmod go-rwx them`),
  ];
}

/** Nothing to say where none is wanted, or nobody is there to open it. */
function checkAdminPort({ url, reason }: Status['admin']): Check[] {
  if (url !== null) return [check('admin API', 'ok', `for browsers at ${url}`)];
  return reason === null ? [] : [check('admin API', 'warning', `browsers cannot reach it: ${reason}`)];
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
