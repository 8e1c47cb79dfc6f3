/** The way out in words. */
import type { EgressStatus, EgressTestReport } from '../../src/egress';
import { columns, table } from '../table';
import { localTime } from '../time';

/** One line for a list of other things: `through tor://127.0.0.1:9050, up`. */
export function egressLine({ endpoint, state, reason, mode }: EgressStatus): string {
  const way = endpoint ?? mode;
  switch (state) {
    case 'direct':
      return 'straight out';
    case 'bypassed':
      return `STRAIGHT OUT: ${way} is down (${reason}), and egress.fail_open is set`;
    case 'down':
      return `nothing leaves: ${way} is down (${reason})`;
    case 'starting':
      return `through ${way}`;
    case 'up':
      return `through ${way}, which is up`;
  }
}

export function egressText(status: EgressStatus): string {
  if (status.mode === 'direct')
    return 'Requests leave this machine straight. For a tunnel: flm config set egress.mode tor';
  return columns([
    ['Way out', egressLine(status)],
    ['Since', status.since === null ? '' : localTime(status.since)],
    ['When it is down', status.fail_open ? 'requests go straight out' : 'nothing leaves this machine'],
    ['Names', 'are looked up at the end of the tunnel'],
    [
      'Private addresses',
      status.private_addresses === 'direct' ? 'go straight' : 'go through the tunnel, too',
    ],
    ...(status.mode === 'socks5'
      ? [['Login', status.has_login ? 'a user name and a password' : 'none'] as const]
      : []),
  ]);
}

export function testText({ tunnel, targets }: EgressTestReport): string {
  const head =
    tunnel === null
      ? 'There is no tunnel: requests leave this machine straight.'
      : tunnel.reached
        ? `The tunnel ${tunnel.endpoint} answers after ${tunnel.latency_ms} ms.`
        : `The tunnel ${tunnel.endpoint ?? ''} is down: ${tunnel.error}`;
  const rows = targets.map(({ name, route, dns, reached, status, latency_ms: latencyMs, error }) => [
    name,
    route === 'tunnel' ? 'through the tunnel' : 'straight',
    NAMES[dns],
    reached ? `${status} after ${latencyMs} ms` : 'no',
    error ?? '',
  ]);
  const empty = 'No engine is on another machine. To try an address: flm egress test https://example.org';
  return `${head}\n\n${table(['WHAT', 'WAY', 'NAME LOOKED UP', 'ANSWERED', 'REASON'], rows, empty)}`;
}

const NAMES = { tunnel: 'at the other end', here: 'here', none: 'an address' } as const;
