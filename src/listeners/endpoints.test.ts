/** Which addresses are shown, and in which order, on machines with these networks. */
import { describe, expect, test } from 'bun:test';
import { certifiedOf, defaultInterfaceIn, endpointsOf, type Machine, machineAddresses } from './endpoints';

function machine(defaultInterface: string | null, ...addresses: readonly [string, string][]): Machine {
  return { defaultInterface, addresses: addresses.map(([interfaceName, ip]) => ({ interfaceName, ip })) };
}

const HOME = machine(
  'wlan0',
  ['lo', '127.0.0.1'],
  ['lo', '::1'],
  ['docker0', '172.17.0.1'],
  ['br-0a1b2c', '172.18.0.1'],
  ['eth0', '10.9.8.7'],
  ['wlan0', '192.168.1.20'],
  ['wlan0', 'fd00::20'],
  ['wlan0', 'fe80::1'],
  ['tailscale0', '100.101.102.103'],
  ['usb0', '169.254.3.4'],
);

const RENTED = machine('eth0', ['lo', '127.0.0.1'], ['eth0', '203.0.114.5'], ['eth1', '10.0.0.5']);

describe('a listener on one address', () => {
  test.each([
    ['127.0.0.1', { localhost: 'http://localhost:8080' }],
    ['127.0.0.2', { localhost: 'http://127.0.0.2:8080' }],
    ['::1', { localhost: 'http://[::1]:8080' }],
    ['192.168.1.20', lan('http://192.168.1.20:8080')],
    ['fd00::5', lan('http://[fd00::5]:8080')],
    ['169.254.3.4', lan('http://169.254.3.4:8080')],
    ['203.0.114.5', { public: ['http://203.0.114.5:8080'] }],
  ])('%s is reached there', (bind, endpoints) => {
    const nowhere = { localhost: null, local_network: null, local_networks: [], public: [] };
    expect(endpointsOf(bind, 8080, HOME)).toEqual({ ...nowhere, ...endpoints });
  });

  function lan(url: string) {
    return { local_network: url, local_networks: [url] };
  }
});

describe('a listener on every network', () => {
  test('is reached at each private address: the default route first, bridges of containers last', () => {
    expect(endpointsOf('0.0.0.0', 80, HOME)).toEqual({
      localhost: 'http://localhost:80',
      local_network: 'http://192.168.1.20:80',
      local_networks: [
        'http://192.168.1.20:80',
        'http://10.9.8.7:80',
        'http://100.101.102.103:80',
        'http://172.17.0.1:80',
        'http://172.18.0.1:80',
      ],
      public: [],
    });
  });

  test('of both families takes both, without those that one cable alone knows', () => {
    const { local_networks } = endpointsOf('::', 80, HOME);
    expect(local_networks.slice(0, 3)).toEqual([
      'http://192.168.1.20:80',
      'http://[fd00::20]:80',
      'http://10.9.8.7:80',
    ]);
    expect(local_networks.join()).not.toMatch(/fe80|169\.254/);
  });

  test('keeps the order of the system where the default route is not known', () => {
    const { local_networks } = endpointsOf('0.0.0.0', 80, { ...HOME, defaultInterface: null });
    expect(local_networks[0]).toBe('http://10.9.8.7:80');
    expect(local_networks.at(-1)).toBe('http://172.18.0.1:80');
  });

  test('says where strangers come in', () => {
    expect(endpointsOf('0.0.0.0', 80, RENTED)).toEqual({
      localhost: 'http://localhost:80',
      local_network: 'http://10.0.0.5:80',
      local_networks: ['http://10.0.0.5:80'],
      public: ['http://203.0.114.5:80'],
    });
  });

  test.each(['0.0.0.0', '::'])('%s is never shown itself (FLM-068)', (bind) => {
    expect(JSON.stringify(endpointsOf(bind, 80))).not.toMatch(/0\.0\.0\.0|\[::\]|127\.0\.0\.1/);
  });
});

describe('the default route', () => {
  const header = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT';
  const route = (name: string, destination: string, metric: number, mask: string) =>
    `${name}\t${destination}\t010200C0\t0003\t0\t0\t${metric}\t${mask}\t0\t0\t0   `;

  test.each([
    ['', null],
    [header, null],
    [`${header}\n${route('docker0', '000011AC', 0, '0000FFFF')}\n`, null],
    [`${header}\n${route('eth0', '00000000', 100, '00000000')}\n`, 'eth0'],
    // A VPN that takes half of everything is not the default.
    [
      `${header}\n${route('tun0', '00000000', 0, '00000080')}\n${route('eth0', '00000000', 9, '00000000')}`,
      'eth0',
    ],
    [
      `${header}\n${route('wlan0', '00000000', 600, '00000000')}\n${route('eth0', '00000000', 100, '00000000')}`,
      'eth0',
    ],
  ])('%#', (routes, name) => {
    expect(defaultInterfaceIn(routes)).toBe(name);
  });
});

describe('machineAddresses', () => {
  test('are addresses that can be compared: canonical, without zones', () => {
    const addresses = machineAddresses();
    expect(addresses).toContain('127.0.0.1');
    expect(addresses.filter((address) => /[%[\]]/.test(address))).toEqual([]);
  });
});

test('with TLS, only what a certificate holds is shown as a URL, and the rest is named', () => {
  const all = endpointsOf(
    '::',
    8081,
    machine('eth0', ['lo', '::1'], ['eth0', '203.0.114.5'], ['eth0', 'fd00::5'], ['eth0', '2001:db8::5']),
    'https',
  );
  const held = ['localhost', 'fd00::5'];
  expect(certifiedOf(all, (host) => held.includes(host))).toEqual({
    endpoints: {
      localhost: 'https://localhost:8081',
      local_network: 'https://[fd00::5]:8081',
      local_networks: ['https://[fd00::5]:8081'],
      public: [],
    },
    uncertified: ['203.0.114.5', '2001:db8::5'],
  });
  expect(certifiedOf(all, () => true)).toEqual({ endpoints: all, uncertified: [] });
  expect(certifiedOf(all, () => false).endpoints).toEqual({
    localhost: null,
    local_network: null,
    local_networks: [],
    public: [],
  });
});
