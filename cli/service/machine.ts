/** This machine, for the service verbs: its service manager, and the account a service runs as. */
import { chownSync, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { dataDir, type Env } from '../../src/lib/paths';
import type { Cli } from '../cli';
import { type Machine, type Run, unavailable } from './manager';

export const SYSTEM_ARG = {
  system: { type: 'boolean', description: 'A service of the whole machine, for root to install.' },
} as const;

export function thisMachine({ env }: Cli): Machine {
  return {
    platform: process.platform,
    env,
    uid: process.getuid?.() ?? 0,
    hasSystemd: existsSync('/run/systemd/system'),
    run,
    root: '/',
  };
}

const run: Run = async (words) => {
  const program = words[0] === undefined ? null : Bun.which(words[0]);
  if (program === null) return { code: 127, output: `there is no ${words[0]} here` };
  const child = Bun.spawn([program, ...words.slice(1)], { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, output: out + err };
};

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly dataDir: string;
}

/** The account that a service of the whole machine runs as: the one that is named, or who called sudo. */
export async function accountFor(machine: Machine, named: string | undefined): Promise<Account> {
  const name = named ?? machine.env.SUDO_USER;
  if (machine.uid !== 0)
    throw unavailable(
      'only root installs a service of the whole machine',
      'Put sudo in front, or leave --system out.',
    );
  if (name === undefined || name === '')
    throw unavailable('it is not said as whom FLM shall run', 'Say --user NAME.');
  const { code, output } = await machine.run(['getent', 'passwd', name]);
  const [account, , uid, gid, , home] = output.trim().split(':');
  if (code !== 0 || account === undefined || uid === undefined || gid === undefined)
    throw unavailable(`there is no user "${name}" here`);
  const env: Env = { HOME: home, FLM_DATA_DIR: machine.env.FLM_DATA_DIR };
  return { name: account, uid: Number(uid), gid: Number(gid), dataDir: dataDir(env, machine.platform) };
}

/** Makes the data directory of somebody else, where it is not there yet: systemd wants to find it. */
export function ensureDirOf({ dataDir: dir, uid, gid }: Account): void {
  const made = mkdirSync(dir, { recursive: true, mode: 0o700 });
  if (made === undefined) return;
  // What was made on the way belongs to the account as well.
  for (let path = dir; ; path = dirname(path)) {
    chownSync(path, uid, gid);
    if (path === made) break;
  }
}
