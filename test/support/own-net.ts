/** A machine with networks of its own: a network namespace in which it has only the addresses that it is given. For root, on Linux. */
import type { Subprocess } from 'bun';
import { collect, firstLine } from './output';

export interface OwnNet extends AsyncDisposable {
  /** In front of a command: it runs there. */
  readonly prefix: readonly string[];
}

/** Why there can be none here, or null. */
export function lacksNet(): string | null {
  if (process.platform !== 'linux') return 'only Linux has network namespaces';
  if (process.getuid?.() !== 0) return 'only root makes network namespaces';
  if (Bun.which('ip') === null) return 'ip is not installed';
  const { exitCode } = Bun.spawnSync(['unshare', '--net', 'true']);
  return exitCode === 0 ? null : 'this machine does not let root make network namespaces';
}

/** With loopback, and `addresses` beside it. */
export async function ownNet(addresses: readonly string[]): Promise<OwnNet> {
  const setup = [
    'set -e',
    'ip link set lo up',
    ...addresses.map((address) => `ip addr add ${address} dev lo`),
    'echo ready',
    'exec sleep 600',
  ].join('\n');
  const child: Subprocess<'ignore', 'pipe', 'pipe'> = Bun.spawn(['unshare', '--net', 'sh', '-c', setup], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  if ((await firstLine(collect(child.stdout))) !== 'ready')
    throw new Error(`no network of our own: ${await new Response(child.stderr).text()}`);
  return {
    prefix: ['nsenter', `--net=/proc/${child.pid}/ns/net`, '--'],
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await child.exited;
    },
  };
}
