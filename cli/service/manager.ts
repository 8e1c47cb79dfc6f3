/** systemd or launchd, whichever looks after this machine, as far as FLM needs them. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { LAUNCHD_LABEL, launchdPlist, type ServiceOptions, systemdUnit, UNIT_NAME } from '../../src/daemon';
import { FlmError, reasonOf } from '../../src/lib/errors';
import { type Env, logPathIn } from '../../src/lib/paths';

/** Runs a program to its end. */
export type Run = (words: readonly string[]) => Promise<{ readonly code: number; readonly output: string }>;

export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly env: Env;
  readonly uid: number;
  /** Whether systemd is what started this machine (sd_booted(3)). */
  readonly hasSystemd: boolean;
  readonly run: Run;
  /** Below this, everything is written: `/`, or another folder in tests. */
  readonly root: string;
}

export interface ServiceState {
  readonly manager: 'systemd' | 'launchd';
  readonly scope: 'user' | 'system';
  /** The file that says how FLM is started. */
  readonly path: string;
  readonly installed: boolean;
  /** Whether it is started with the machine, or with its user's session. */
  readonly enabled: boolean;
  readonly active: boolean;
}

export interface Manager {
  /** Writes the file and starts the service; a service that is there is replaced. @throws SERVICE_UNAVAILABLE, IO_ERROR */
  install(options: ServiceOptions): Promise<ServiceState>;
  /** Stops the service and removes the file; data stay. Does nothing where there is none. */
  uninstall(): Promise<ServiceState>;
  state(): Promise<ServiceState>;
}

/** @throws SERVICE_UNAVAILABLE when there is no service manager that FLM knows */
export function managerOf(machine: Machine, isSystem: boolean): Manager {
  if (machine.platform === 'darwin') return launchd(machine, isSystem);
  if (machine.platform !== 'linux') throw unavailable('this system has neither systemd nor launchd');
  if (!machine.hasSystemd) throw unavailable('systemd does not run on this machine');
  return systemd(machine, isSystem);
}

function systemd({ env, root, run }: Machine, isSystem: boolean): Manager {
  const config = env.XDG_CONFIG_HOME || join(env.HOME ?? '/', '.config');
  const folder = isSystem ? join(root, 'etc/systemd/system') : join(config, 'systemd/user');
  const path = join(folder, UNIT_NAME);
  const systemctl = (...words: readonly string[]) =>
    run(['systemctl', ...(isSystem ? [] : ['--user']), ...words]);

  async function state(): Promise<ServiceState> {
    const installed = existsSync(path);
    const says = async (verb: string) =>
      installed && (await systemctl(verb, '--quiet', UNIT_NAME)).code === 0;
    return {
      manager: 'systemd',
      scope: isSystem ? 'system' : 'user',
      path,
      installed,
      enabled: await says('is-enabled'),
      active: await says('is-active'),
    };
  }

  return {
    state,
    async install(options) {
      writeUnit(path, systemdUnit(options));
      for (const words of [['daemon-reload'], ['enable', UNIT_NAME], ['restart', UNIT_NAME]])
        require(await systemctl(...words), `systemctl ${words.join(' ')}`);
      return state();
    },
    async uninstall() {
      if (!existsSync(path)) return state();
      require(await systemctl('disable', '--now', UNIT_NAME), 'systemctl disable');
      rmSync(path, { force: true });
      require(await systemctl('daemon-reload'), 'systemctl daemon-reload');
      return state();
    },
  };
}

function launchd({ env, root, run, uid }: Machine, isSystem: boolean): Manager {
  const folder = isSystem
    ? join(root, 'Library/LaunchDaemons')
    : join(env.HOME ?? '/', 'Library/LaunchAgents');
  const path = join(folder, `${LAUNCHD_LABEL}.plist`);
  const domain = isSystem ? 'system' : `gui/${uid}`;
  const target = `${domain}/${LAUNCHD_LABEL}`;

  async function state(): Promise<ServiceState> {
    const installed = existsSync(path);
    const { code, output } = await run(['launchctl', 'print', target]);
    const scope = isSystem ? 'system' : 'user';
    const isLoaded = installed && code === 0;
    return {
      manager: 'launchd',
      scope,
      path,
      installed,
      enabled: isLoaded,
      active: isLoaded && /^\s*state = running$/m.test(output),
    };
  }

  return {
    state,
    async install(options) {
      writeUnit(path, launchdPlist(options, logPathIn(join(options.dataDir, 'logs'))));
      // Fails where it was not loaded, which is as good.
      await run(['launchctl', 'bootout', target]);
      require(await run(['launchctl', 'bootstrap', domain, path]), 'launchctl bootstrap');
      return state();
    },
    async uninstall() {
      if (!existsSync(path)) return state();
      await run(['launchctl', 'bootout', target]);
      rmSync(path, { force: true });
      return state();
    },
  };
}

/** Readable by all: it holds no secret, and service managers insist. */
function writeUnit(path: string, text: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode: 0o644 });
  } catch (error) {
    throw new FlmError('IO_ERROR', { meta: { path, reason: reasonOf(error) }, cause: error });
  }
}

function require({ code, output }: Awaited<ReturnType<Run>>, what: string): void {
  if (code === 0) return;
  const said = output.trim().split('\n').at(-1) ?? '';
  throw unavailable(`"${what}" failed (${said === '' ? `exit code ${code}` : said.replace(/\.$/, '')})`);
}

export function unavailable(reason: string, hint?: string): FlmError {
  return new FlmError('SERVICE_UNAVAILABLE', { meta: { reason }, ...(hint === undefined ? {} : { hint }) });
}
