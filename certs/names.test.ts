/** What a machine is called, and what a root may vouch for. */
import { describe, expect, test } from 'bun:test';
import { divide, type MachineNames, namesOf, parseName, permittedFor, thisMachine } from './names';

const box: MachineNames = { hostname: 'box', hosts: '', addresses: [] };

describe('parseName', () => {
  const CASES: [string, string | null][] = [
    ['Box.Local', 'box.local'],
    ['box.local.', 'box.local'],
    ['*.example.com', '*.example.com'],
    ['my_box', 'my_box'],
    ['192.168.1.1', '192.168.1.1'],
    ['[fe80::1%eth0]', 'fe80::1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['a.*.example.com', null],
    ['*', null],
    ['1.2.3', null],
    ['1.2.3.4.5', null],
    ['-box', null],
    ['box..local', null],
    ['box local', null],
    ['bücher.example', null],
    ['x'.repeat(64), null],
    ['', null],
  ];
  test.each(CASES)('%p is %p', (text, name) => {
    expect(parseName(text)).toBe(name);
  });
});

describe('namesOf', () => {
  test('finds the full name where machines keep it, and no names of others', () => {
    const hosts =
      '127.0.0.1 localhost\n127.0.1.1\tbox.home.example box # me\n10.0.0.9 nas.home.example nas\n';
    expect(namesOf({ ...box, hosts }, [])).toEqual([
      ...['localhost', 'box', 'box.home.example', 'box.local', '127.0.0.1', '::1'],
    ]);
  });

  test('has the short name of a machine that is called by its full one', () => {
    expect(namesOf({ ...box, hostname: 'box.example.com' }, [])).toEqual([
      ...['localhost', 'box.example.com', 'box', 'box.local', '127.0.0.1', '::1'],
    ]);
  });

  test('goes without a host name that no certificate can hold', () => {
    expect(namesOf({ ...box, hostname: 'Ann’s laptop' }, [])).toEqual(['localhost', '127.0.0.1', '::1']);
  });

  test('is bounded, however many addresses containers bring', () => {
    const addresses = Array.from({ length: 5_000 }, (_, index) => `10.1.${index >> 8}.${index & 255}`);
    expect(namesOf({ ...box, addresses }, ['llm.example.com']).length).toBe(100);
    expect(namesOf({ ...box, addresses }, ['llm.example.com'])).toContain('llm.example.com');
  });

  test('reads this machine', () => {
    expect(namesOf(thisMachine(), [])).toContain('127.0.0.1');
  });
});

describe('permittedFor', () => {
  test('adds public names and addresses only where the owner names them', () => {
    const { dns, networks } = permittedFor({ ...box, addresses: ['198.51.100.7'] }, [
      '*.example.com',
      '203.0.113.7',
    ]);
    expect(dns).toEqual(['localhost', 'local', 'internal', 'lan', 'home.arpa', 'example.com']);
    expect(networks).toContain('203.0.113.7/32');
    expect(networks.join()).not.toContain('198.51.100.7');
    expect(networks.every((network) => !network.endsWith('/0'))).toBe(true);
  });
});

describe('FLM-094: a host name that could be a top-level domain', () => {
  const dnsOf = (hostname: string, ...configured: string[]) =>
    permittedFor({ ...box, hostname }, configured).dns.filter((name) => !LOCAL.includes(name));
  const LOCAL = ['localhost', 'local', 'internal', 'lan', 'home.arpa'];

  test.each(['dev', 'box', 'com', 'ai', 'xn--p1ai'])('%s opens no part of the internet', (hostname) => {
    expect(dnsOf(hostname)).toEqual([]);
    expect(divide([`bank.${hostname}`, hostname], permittedFor({ ...box, hostname }, [])).covered).toEqual(
      [],
    );
  });

  test.each(['box7', 'my-box', 'desktop-ab12cd', 'box_1', 'box.home.example'])(
    '%s cannot be one',
    (hostname) => {
      expect(dnsOf(hostname)).toContain(hostname);
    },
  );

  test('is permitted when the owner says so', () => {
    expect(dnsOf('box', 'box')).toEqual(['box']);
  });
});

describe('divide', () => {
  test('parts what a root covers from what it does not', () => {
    const permitted = permittedFor({ ...box, hostname: 'box7' }, ['llm.example.com']);
    const names = [
      'box',
      'box7',
      'box.local',
      '*.lan',
      'llm.example.com',
      'example.com',
      '10.0.0.1',
      '198.51.100.7',
      '::1',
    ];
    expect(divide(names, permitted)).toEqual({
      covered: ['box7', 'box.local', '*.lan', 'llm.example.com', '10.0.0.1', '::1'],
      outside: ['box', 'example.com', '198.51.100.7'],
    });
  });

  test('covers nothing where nothing is permitted', () => {
    expect(divide(['localhost'], { dns: [], networks: [] }).covered).toEqual([]);
  });
});
