import { describe, expect, test } from 'bun:test';
import { FlmError } from '../lib/errors';
import { checkTarget, type Purpose, type Resolve } from './guard';

/** A resolver that knows nobody: for URLs that must be refused, or allowed, without asking. */
const nobody: Resolve = async (host) => {
  throw new Error(`${host} was looked up`);
};

const resolveTo =
  (...addresses: string[]): Resolve =>
  async () =>
    addresses;

/** The address that would be connected to, or `refused`; anything but EGRESS_REFUSED fails the test. */
async function outcomeOf(url: string, purpose: Purpose, resolve: Resolve = nobody): Promise<string> {
  try {
    return (await checkTarget(url, purpose, resolve)).address;
  } catch (error) {
    if (error instanceof FlmError && error.code === 'EGRESS_REFUSED') return 'refused';
    throw error;
  }
}

describe('addresses that are nobody else’s business', () => {
  test.each([
    'http://127.0.0.1/',
    'http://127.1/',
    'http://2130706433/',
    'http://017700000001/',
    'http://0177.0.0.1/',
    'http://0x7f000001/',
    'http://0x7f.1/',
    'http://127.0.0.1./',
    'http://①②⑦.⓪.⓪.①/',
    'http://%31%32%37.0.0.1/',
    'http://[::1]/',
    'http://[0:0:0:0:0:0:0:1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[::127.0.0.1]/',
    'http://[::ffff:0:127.0.0.1]/',
    'http://[64:ff9b::7f00:1]/',
    'http://[64:ff9b::127.0.0.1]/',
    'http://[64:ff9b:1::10.0.0.1]/',
    'http://[2002:7f00:1::]/',
    'http://[2002:a00:1::1]/',
    'http://[2001:0:7f00:1::]/',
    'http://10.0.0.1/',
    'http://172.16.0.1/',
    'http://172.31.255.255/',
    'http://192.168.1.1/',
    'http://100.64.0.1/',
    'http://100.100.100.200/',
    'http://[::ffff:10.0.0.1]/',
    'http://[64:ff9b::a00:1]/',
    'http://[fc00::1]/',
    'http://[fd00:ec2::254]/',
    'http://169.254.169.254/latest/meta-data/',
    'http://0xa9fea9fe/',
    'http://[::ffff:169.254.169.254]/',
    'http://[64:ff9b::a9fe:a9fe]/',
    'http://[2002:a9fe:a9fe::]/',
    'http://[fe80::1]/',
    'http://[fec0::1]/',
    'http://0.0.0.0/',
    'http://0/',
    'http://0.1.2.3/',
    'http://[::]/',
    'http://255.255.255.255/',
    'http://224.0.0.1/',
    'http://[ff02::1]/',
    'http://240.0.0.1/',
    'http://192.0.0.1/',
    'http://192.0.2.1/',
    'http://198.18.0.1/',
    'http://198.51.100.1/',
    'http://203.0.113.1/',
    'http://192.88.99.1/',
    'http://[2001:db8::1]/',
    'http://[100::1]/',
    'http://168.63.129.16/',
    'http://[fd00:ec2::254]/',
    'http://100.100.100.200/',
  ])('%s is refused for what is public', async (url) => {
    expect(await outcomeOf(url, 'public')).toBe('refused');
    expect(await outcomeOf(url.replace('http:', 'https:'), 'public')).toBe('refused');
  });

  test.each([
    ['http://93.184.216.34/', '93.184.216.34'],
    ['https://[2606:2800:220:1:248:1893:25c8:1946]/', '2606:2800:220:1:248:1893:25c8:1946'],
    ['http://[::ffff:93.184.216.34]/', '93.184.216.34'],
    ['http://[64:ff9b::5db8:d822]/', '64:ff9b::5db8:d822'],
    ['http://172.32.0.1/', '172.32.0.1'],
    ['http://100.128.0.1/', '100.128.0.1'],
    ['http://11.0.0.1:8080/x', '11.0.0.1'],
  ])('%s is allowed', async (url, address) => {
    expect(await outcomeOf(url, 'public')).toBe(address);
  });

  test.each([
    ['http://127.0.0.1:8000', '127.0.0.1'],
    ['http://[::1]:8000', '::1'],
    ['http://192.168.1.20:11434', '192.168.1.20'],
    ['http://100.64.0.7:8000', '100.64.0.7'],
    ['https://93.184.216.34', '93.184.216.34'],
    ['http://169.254.169.254', 'refused'],
    ['http://[fe80::1]', 'refused'],
    ['http://[::ffff:169.254.169.254]', 'refused'],
    ['http://0.0.0.0:8000', 'refused'],
    ['http://224.0.0.1', 'refused'],
  ])('for an engine, %s leads to %s', async (url, expected) => {
    expect(await outcomeOf(url, 'engine')).toBe(expected);
  });
});

describe('names', () => {
  test.each([
    ['one private address', ['10.0.0.1']],
    ['a private address behind a public one', ['93.184.216.34', '10.0.0.1']],
    ['a public address behind a private one', ['10.0.0.1', '93.184.216.34']],
    ['loopback over IPv6 behind a public address', ['93.184.216.34', '::1']],
    ['a mapped private address', ['::ffff:10.0.0.1']],
    ['a mapped private address in hex', ['::ffff:a00:1']],
    ['a NAT64 address of a private host', ['64:ff9b::a00:1']],
    ['a link-local address with a zone', ['fe80::1%eth0']],
    ['what is no address', ['evil.example']],
    ['an address in another notation', ['0177.0.0.1']],
    ['an empty address', ['']],
    ['no address at all', []],
  ])('with %s are refused', async (_name, addresses) => {
    expect(await outcomeOf('http://a.example/', 'public', resolveTo(...addresses))).toBe('refused');
  });

  test.each([
    'http://localhost/',
    'http://localhost./',
    'http://LOCALHOST/',
    'http://a.localhost./',
    'http://printer/',
  ])('%s is refused for what it resolves to', async (url) => {
    expect(await outcomeOf(url, 'public', resolveTo('127.0.0.1', '::1'))).toBe('refused');
  });

  test('are asked for as the URL says them, with the dot at the end, and without brackets or port', async () => {
    const asked: string[] = [];
    const resolve: Resolve = async (host) => {
      asked.push(host);
      return ['93.184.216.34'];
    };
    await checkTarget('http://Example.COM:81/', 'public', resolve);
    await checkTarget('http://example.com./', 'public', resolve);
    await checkTarget('http://b\u00fccher.example/', 'public', resolve);
    expect(asked).toEqual(['example.com', 'example.com.', 'xn--bcher-kva.example']);
  });

  test('are asked for once', async () => {
    let asked = 0;
    const { address } = await checkTarget('http://a.example/', 'public', async () => {
      asked++;
      return asked === 1 ? ['93.184.216.34'] : ['127.0.0.1'];
    });
    expect([asked, address]).toEqual([1, '93.184.216.34']);
  });

  test('that do not resolve are refused with that reason', async () => {
    const failing: Resolve = async () => {
      throw new Error('ENOTFOUND');
    };
    const error: unknown = await checkTarget('http://a.example/', 'public', failing).catch((e) => e);
    expect(String(error)).toContain('ENOTFOUND');
    expect(await outcomeOf('http://a.example/', 'public', failing)).toBe('refused');
  });
});

describe('URLs', () => {
  test.each([
    'ftp://93.184.216.34/',
    'file:///etc/passwd',
    'unix:///var/run/docker.sock',
    'data:image/png;base64,AAAA',
    'blob:http://93.184.216.34/x',
    'javascript:alert(1)',
    'gopher://93.184.216.34/',
    'ws://93.184.216.34/',
    'http://user@93.184.216.34/',
    'http://user:pass@93.184.216.34/',
    'http://:pass@93.184.216.34/',
    'http://93.184.216.34@127.0.0.1/',
    'http://127.0.0.1\\@93.184.216.34/',
    'http:///',
    'http://',
    '//93.184.216.34/',
    'not a url',
    '',
    'http://[::1',
    'http://1.2.3.4.5/',
    'http://a..b:99999/',
  ])('%p is refused', async (url) => {
    expect(await outcomeOf(url, 'public', nobody)).toBe('refused');
  });

  test('a refusal shows no credentials', async () => {
    const error: unknown = await checkTarget('http://user:hunter2@93.184.216.34/', 'public', nobody).catch(
      (e) => e,
    );
    expect(JSON.stringify([String(error), error])).not.toContain('hunter2');
    const broken: unknown = await checkTarget('http://user:hunter2@:x', 'public', nobody).catch((e) => e);
    expect(JSON.stringify([String(broken), broken])).not.toContain('hunter2');
  });
});
