/**
 * A mount namespace in which the store of roots of this machine is a copy: what is done to it there is gone with it. For root,
 * on Linux.
 */
import type { Subprocess } from 'bun';
import { collect, firstLine } from './output';

export interface OwnMounts extends AsyncDisposable {
  /** In front of a command: it runs there. */
  readonly prefix: readonly string[];
  /** Runs a shell command there. */
  sh(command: string): Promise<{ readonly code: number; readonly output: string }>;
}

const FOLDERS = ['/etc/ssl', '/usr/local/share/ca-certificates'];

const SETUP = [
  'set -e',
  ...FOLDERS.map((folder) =>
    [
      't=$(mktemp -d)',
      'mount -t tmpfs none $t',
      `cp -a ${folder}/. $t/`,
      `mount --bind $t ${folder}`,
      'umount -l $t && rmdir $t',
    ].join('\n'),
  ),
  'echo ready',
  'exec sleep 600',
].join('\n');

/** Why there can be none here, or null. */
export function lacksMounts(): string | null {
  if (process.platform !== 'linux') return 'only Linux has mount namespaces';
  if (process.getuid?.() !== 0) return 'only root makes mount namespaces';
  const { exitCode } = Bun.spawnSync(['unshare', '--mount', 'true']);
  return exitCode === 0 ? null : 'this machine does not let root make mount namespaces';
}

export async function ownMounts(): Promise<OwnMounts> {
  const child: Subprocess<'ignore', 'pipe', 'pipe'> = Bun.spawn(
    ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', SETUP],
    { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
  );
  if ((await firstLine(collect(child.stdout))) !== 'ready')
    throw new Error(`no mounts of our own: ${await new Response(child.stderr).text()}`);
  const prefix = ['nsenter', `--mount=/proc/${child.pid}/ns/mnt`, '--'];
  return {
    prefix,
    async sh(command) {
      const run = Bun.spawn([...prefix, 'sh', '-c', command], {
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
      });
      const [out, err] = await Promise.all([
        new Response(run.stdout).text(),
        new Response(run.stderr).text(),
      ]);
      return { code: await run.exited, output: out + err };
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await child.exited;
    },
  };
}
