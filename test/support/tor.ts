/**
 * A Tor network of the tests' own: directory authorities, relays and clients of Debian's tor, all on one machine and with
 * nobody else (TestingTorNetwork). Built as chutney builds its own.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Network, Program } from './network';

export interface TorClient {
  readonly socks: string;
  readonly control: string;
  readonly program: Program;
}

export interface TorNetwork {
  /** Starts a client; resolves when it can build circuits. */
  client(name: string, lines?: readonly string[]): Promise<TorClient>;
}

const AUTHORITIES = ['a0', 'a1', 'a2'];
const RELAYS = ['r0', 'r1', 'r2'];

/** Why there can be none, or null. */
export function whyNoTor(): string | null {
  for (const program of ['tor', 'tor-gencert'])
    if (Bun.which(program) === null) return `${program} is not installed`;
  return null;
}

export async function startTor(network: Network): Promise<TorNetwork> {
  let port = 21_000;
  const at = (name: string, ...more: string[]) => join(network.dir, 'tor', name, ...more);
  const common = [
    'TestingTorNetwork 1',
    'RunAsDaemon 0',
    'ShutdownWaitLength 0',
    'Log notice stdout',
    'SafeLogging 0',
    'AssumeReachable 1',
    'PathsNeededToBuildCircuits 0.67',
    'TestingDirAuthVoteExit *',
    'TestingDirAuthVoteHSDir *',
    'TestingDirAuthVoteGuard *',
    'TestingMinExitFlagThreshold 0',
    'V3AuthNIntervalsValid 2',
    'User root',
  ];
  const authorities: string[] = [];
  const ports = new Map<string, readonly [number, number]>();

  function prepare(name: string): readonly [number, number] {
    mkdirSync(at(name, 'keys'), { recursive: true, mode: 0o700 });
    const own = [port++, port++] as const;
    ports.set(name, own);
    return own;
  }

  for (const name of AUTHORITIES) {
    const [orPort, dirPort] = prepare(name);
    const keys = (file: string) => at(name, 'keys', file);
    execute(
      [
        'tor-gencert',
        '--create-identity-key',
        '-m',
        '12',
        '-a',
        `127.0.0.1:${dirPort}`,
        '--passphrase-fd',
        '0',
      ]
        .concat('-i', keys('authority_identity_key'), '-s', keys('authority_signing_key'))
        .concat('-c', keys('authority_certificate')),
      'passphrase\n',
    );
    const [, v3 = ''] =
      /^fingerprint ([0-9A-F]+)$/m.exec(readFileSync(keys('authority_certificate'), 'utf8')) ?? [];
    const listed = execute([
      ...['tor', '--ignore-missing-torrc', '-f', '/nonexistent', '--list-fingerprint', '--quiet'],
      ...['--DataDirectory', at(name), '--ORPort', `127.0.0.1:${orPort}`, '--Nickname', name],
    ]);
    const fingerprint = listed.trim().split('\n').at(-1)?.replace(/^\S+ /, '').replaceAll(' ', '') ?? '';
    authorities.push(
      `DirAuthority ${name} orport=${orPort} no-v2 v3ident=${v3} 127.0.0.1:${dirPort} ${fingerprint}`,
    );
  }

  function start(name: string, lines: readonly string[], says: RegExp): Program {
    const torrc = at(name, 'torrc');
    const all = [...common, `DataDirectory ${at(name)}`, `Nickname ${name}`, ...authorities, ...lines];
    writeFileSync(torrc, `${all.join('\n')}\n`);
    return network.start('far', ['tor', '-f', torrc], { says, withinMs: 120_000 });
  }

  const relay = (name: string) => {
    const [orPort, dirPort] = ports.get(name) ?? prepare(name);
    return [
      `ORPort 127.0.0.1:${orPort}`,
      `DirPort 127.0.0.1:${dirPort}`,
      'Address 127.0.0.1',
      'SocksPort 0',
      'ExitRelay 1',
      'ExitPolicyRejectPrivate 0',
      'ExitPolicy accept *:*',
      'ServerDNSDetectHijacking 0',
      'ServerDNSTestAddresses',
    ];
  };
  const authority = [
    'AuthoritativeDirectory 1',
    'V3AuthoritativeDirectory 1',
    'ContactInfo nobody@flm.test',
    'TestingV3AuthInitialVotingInterval 5',
    'TestingV3AuthInitialVoteDelay 2',
    'TestingV3AuthInitialDistDelay 2',
    'V3AuthVotingInterval 10',
    'V3AuthVoteDelay 2',
    'V3AuthDistDelay 2',
  ];
  const booted = /Bootstrapped 100%/;
  const starting = [
    ...AUTHORITIES.map((name) => start(name, [...relay(name), ...authority], booted)),
    ...RELAYS.map((name) => start(name, relay(name), booted)),
  ];
  await Promise.all(starting.map(({ ready }) => ready));

  return {
    async client(name, lines = []) {
      const [socks, control] = prepare(name);
      const program = start(
        name,
        [
          `SocksPort 127.0.0.1:${socks}`,
          `ControlPort 127.0.0.1:${control}`,
          'CookieAuthentication 1',
          ...lines,
        ],
        booted,
      );
      await program.ready;
      return { socks: `127.0.0.1:${socks}`, control: `127.0.0.1:${control}`, program };
    },
  };
}

function execute(command: readonly string[], input = ''): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], {
    stdin: Buffer.from(input),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  if (exitCode !== 0) throw new Error(`${command.join(' ')}: ${stdout.toString()} ${stderr.toString()}`);
  return stdout.toString();
}
