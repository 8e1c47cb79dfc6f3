/**
 * Two machines on one: network namespaces of Linux with one cable between them. FLM runs on the near one, which has no
 * route to anywhere else; on the far one are the SOCKS server, engines with names and addresses of their own, and an ear
 * on the cable.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually';
import { collect } from './output';

export const NEAR_IP = '10.77.0.1';
export const FAR_IP = '10.77.0.2';
/** Looks like the rest of the world; exists in the far namespace alone. */
export const WORLD_IP = '93.184.215.14';

export interface Network extends AsyncDisposable {
  /** Put before a command, run it there. */
  readonly near: readonly string[];
  readonly far: readonly string[];
  readonly dir: string;
  /** Starts a program that runs until the network is gone, or until it is stopped. */
  start(where: 'near' | 'far', command: readonly string[], options?: StartOptions): Program;
  /** What went over the cable since the last call, a line for each packet; with a packet of our own at the end. */
  heard(): Promise<readonly string[]>;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Resolves `ready` when stdout or stderr says this. */
  readonly says?: RegExp;
  /** How long that may take. Default: ten seconds. */
  readonly withinMs?: number;
}

export interface Program {
  readonly ready: Promise<void>;
  stop(): Promise<void>;
}

/** Why there can be no network, or null. */
export function whyNoNetwork(): string | null {
  if (process.platform !== 'linux') return 'there are no network namespaces here';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  for (const program of ['ip', 'tcpdump'])
    if (Bun.which(program) === null) return `${program} is not installed`;
  const name = `flm-${process.pid}-try`;
  const { exitCode, stderr } = Bun.spawnSync(['ip', 'netns', 'add', name], { stderr: 'pipe' });
  if (exitCode !== 0) return `network namespaces cannot be made: ${stderr.toString().trim()}`;
  Bun.spawnSync(['ip', 'netns', 'del', name]);
  return null;
}

/** `names`: what the far machine knows and the near one does not. `login`: somebody whom its programs know. */
export async function openNetwork(
  names: readonly string[],
  login: { readonly user: string; readonly password: string },
): Promise<Network> {
  const [near, far] = [`flm-${process.pid}-near`, `flm-${process.pid}-far`];
  const dir = mkdtempSync(join(tmpdir(), 'flm-net-'));
  const programs = new Set<Program>();

  /** Files that stand in place of those in /etc, for whoever runs there. */
  function etc(namespace: string, files: Readonly<Record<string, string>>): void {
    mkdirSync(`/etc/netns/${namespace}`, { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(`/etc/netns/${namespace}/${name}`, text);
  }
  // A name server that nobody may ask: a question to it is heard.
  etc(near, { 'resolv.conf': `nameserver ${FAR_IP}\n`, hosts: '127.0.0.1 localhost\n::1 localhost\n' });
  const hash = run('openssl', 'passwd', '-6', login.password).trim();
  etc(far, {
    'resolv.conf': 'nameserver 127.0.0.53\n',
    hosts: `127.0.0.1 localhost\n${WORLD_IP} ${names.join(' ')}\n`,
    passwd: `root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n${login.user}:x:4711:65534::/:/bin/false\n`,
    shadow: `root:*:1::::::\nnobody:*:1::::::\n${login.user}:${hash}:1::::::\n`,
  });
  for (const namespace of [near, far]) {
    run('ip', 'netns', 'add', namespace);
    run('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
  }
  run('ip', 'link', 'add', 'cable', 'netns', near, 'type', 'veth', 'peer', 'name', 'cable', 'netns', far);
  run('ip', '-n', near, 'addr', 'add', `${NEAR_IP}/30`, 'dev', 'cable');
  run('ip', '-n', far, 'addr', 'add', `${FAR_IP}/30`, 'dev', 'cable');
  run('ip', '-n', far, 'addr', 'add', `${WORLD_IP}/32`, 'dev', 'lo');
  for (const namespace of [near, far]) run('ip', '-n', namespace, 'link', 'set', 'cable', 'up');

  const inside = (namespace: string) => ['ip', 'netns', 'exec', namespace];
  const ear = Bun.spawn(
    [...inside(far), 'tcpdump', '-Z', 'root', '-n', '-l', '--immediate-mode', '-i', 'cable', 'tcp or udp'],
    { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
  );
  const lines = collect(ear.stdout);
  const stderr = collect(ear.stderr);
  const listening = await stderr.until((text) => text.includes('listening on'));
  if (!listening.includes('listening on')) throw new Error(`tcpdump: ${listening}`);
  let told = 0;
  let marks = 0;

  return {
    near: inside(near),
    far: inside(far),
    dir,

    start(where, command, { env = {}, says, withinMs } = {}) {
      const child = Bun.spawn([...inside(where === 'near' ? near : far), ...command], {
        env: { PATH: process.env.PATH, ...env },
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
        // A group of its own: some leave their work to children.
        detached: true,
      });
      const outputs = [collect(child.stdout), collect(child.stderr)];
      const program: Program = {
        ready:
          says === undefined
            ? Promise.resolve()
            : eventually(() => outputs.some((output) => says.test(output.text())), withinMs),
        async stop() {
          programs.delete(program);
          process.kill(-child.pid, 'SIGKILL');
          await child.exited;
        },
      };
      programs.add(program);
      return program;
    },

    async heard() {
      // What leaks is heard: this does, and everything before it has been.
      const port = 40_000 + ++marks;
      run(...inside(near), 'bash', '-c', `echo mark > /dev/udp/${FAR_IP}/${port}`);
      await eventually(() => lines.text().includes(`${FAR_IP}.${port}: UDP`));
      const all = lines
        .text()
        .split('\n')
        .filter((line) => line !== '');
      const fresh = all.slice(told);
      told = all.length;
      return fresh.filter((line) => !line.includes(`${FAR_IP}.${port}: UDP`));
    },

    async [Symbol.asyncDispose]() {
      for (const program of programs) await program.stop();
      ear.kill('SIGKILL');
      await ear.exited;
      for (const namespace of [near, far]) {
        Bun.spawnSync(['ip', 'netns', 'del', namespace]);
        rmSync(`/etc/netns/${namespace}`, { recursive: true, force: true });
      }
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function run(...command: string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { stdout: 'pipe', stderr: 'pipe' });
  if (exitCode !== 0) throw new Error(`${command.join(' ')}: ${stderr.toString()}`);
  return stdout.toString();
}
