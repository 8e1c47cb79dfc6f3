/** From where an address can be reached: a table of what is bound, on machines with these networks. */
import { describe, expect, test } from 'bun:test';
import { codeOf, errorOf } from '../../test/support/thrown';
import { checkExposure, type Exposure, exposureOf } from './exposure';

/** Machines by the addresses of their interfaces. */
const MACHINES = {
  offline: ['127.0.0.1', '::1'],
  laptop: ['127.0.0.1', '::1', '192.168.1.20', 'fe80::1'],
  'laptop on a provider’s IPv6': ['127.0.0.1', '::1', '192.168.1.20', 'fe80::1', '2606:4700::20'],
  tailscale: ['127.0.0.1', '100.101.102.103', 'fd7a:115c:a1e0::1'],
  server: ['127.0.0.1', '::1', '203.0.114.5', '10.0.0.5'],
  'link-local only': ['127.0.0.1', '169.254.3.4'],
  odd: ['127.0.0.1', '198.18.0.5'], // an address of no known kind
} as const;

type Machine = keyof typeof MACHINES;

describe('exposureOf', () => {
  test.each<[string, Machine, Exposure, string]>([
    // One address is what it is, wherever it is bound.
    ['127.0.0.1', 'server', 'loopback', '127.0.0.1'],
    ['127.9.9.9', 'server', 'loopback', '127.9.9.9'],
    ['::1', 'server', 'loopback', '::1'],
    ['192.168.1.20', 'server', 'private', '192.168.1.20'],
    ['10.0.0.5', 'server', 'private', '10.0.0.5'],
    ['100.101.102.103', 'tailscale', 'private', '100.101.102.103'],
    ['fd00::5', 'offline', 'private', 'fd00::5'],
    ['fe80::1', 'laptop', 'private', 'fe80::1'],
    ['169.254.3.4', 'link-local only', 'private', '169.254.3.4'],
    ['203.0.114.5', 'offline', 'public', '203.0.114.5'],
    ['2606:4700::20', 'offline', 'public', '2606:4700::20'],
    // Of no known kind: the worst is assumed.
    ['198.18.0.5', 'offline', 'public', '198.18.0.5'],
    ['224.0.0.1', 'offline', 'public', '224.0.0.1'],
    // All networks of the machine: as exposed as its most exposed address.
    ['0.0.0.0', 'offline', 'private', '0.0.0.0'], // the network may come later
    ['0.0.0.0', 'laptop', 'private', '192.168.1.20'],
    ['0.0.0.0', 'laptop on a provider’s IPv6', 'private', '192.168.1.20'], // IPv4 alone
    ['0.0.0.0', 'tailscale', 'private', '100.101.102.103'],
    ['0.0.0.0', 'server', 'public', '203.0.114.5'],
    ['0.0.0.0', 'link-local only', 'private', '169.254.3.4'],
    ['0.0.0.0', 'odd', 'public', '198.18.0.5'],
    ['::', 'offline', 'private', '::'],
    ['::', 'laptop', 'private', '192.168.1.20'], // :: takes IPv4 too
    ['::', 'laptop on a provider’s IPv6', 'public', '2606:4700::20'],
    ['::', 'server', 'public', '203.0.114.5'],
  ])('%s on %s is %s, because of %s', (bind, machine, exposure, address) => {
    expect(exposureOf(bind, MACHINES[machine])).toEqual({ exposure, address });
  });
});

const REFUSING = { mode: 'local-http', allowPlaintext: false } as const;

describe('checkExposure', () => {
  test('a public address may be bound with TLS', () => {
    expect(checkExposure('203.0.114.5', { ...REFUSING, mode: 'packaged-ca' })).toBe('public');
  });

  test('refuses a public address without TLS, naming it, unless the owner said so', async () => {
    const error = await errorOf(() => checkExposure('203.0.114.5', REFUSING));
    expect([error.code, error.exit, error.meta]).toEqual([
      'EXPOSURE_REFUSED',
      3,
      { bind: '203.0.114.5', address: '203.0.114.5' },
    ]);
    expect(error.hint).toContain('--allow-plaintext');
    expect(checkExposure('203.0.114.5', { ...REFUSING, allowPlaintext: true })).toBe('public');
  });

  test('lets this machine and private networks pass', () => {
    expect([checkExposure('127.0.0.1', REFUSING), checkExposure('192.168.1.1', REFUSING)]).toEqual([
      'loopback',
      'private',
    ]);
  });

  test('takes an address that was not written the plain way for the worst', async () => {
    expect(await codeOf(() => checkExposure('0:0:0:0:0:0:0:0', REFUSING))).toBe('EXPOSURE_REFUSED');
  });
});
