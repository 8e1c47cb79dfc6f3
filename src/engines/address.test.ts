/** Addresses of engines, as people type them. */
import { describe, expect, test } from 'bun:test';
import { errorOf } from '../../test/support/thrown';
import { parseBaseUrl, placeOf, portOf } from './address';

describe('parseBaseUrl', () => {
  test.each([
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
    ['127.0.0.1:8080', 'http://127.0.0.1:8080'],
    ['localhost:8080/', 'http://localhost:8080'],
    [' http://box:8080/v1 ', 'http://box:8080'],
    ['http://box:8080/v1/', 'http://box:8080'],
    ['HTTPS://Example.COM/api/v1', 'https://example.com/api'],
    ['https://example.com:443', 'https://example.com'],
    ['http://box/v1beta', 'http://box/v1beta'],
    ['[::1]:8080', 'http://[::1]:8080'],
    ['box', 'http://box'],
    // The URL parser reads every spelling of an IPv4 address, so what is stored is the plain one.
    ['http://0x7f.1:8080', 'http://127.0.0.1:8080'],
  ])('%p is %s', (text, url) => {
    expect(parseBaseUrl(text)).toBe(url);
  });

  test.each([
    ['', 'it is not a URL'],
    ['http://', 'it is not a URL'],
    ['http://box:99999', 'it is not a URL'],
    ['box:8080:9090', 'it is not a URL'],
    ['javascript:alert(1)', 'it is not a URL'],
    ['ftp://box', 'it is ftp: and not http'],
    ['file:///etc/passwd', 'it is not a URL'],
    ['unix:///run/x.sock', 'it is not a URL'],
    ['http://box?x=1', 'it has a query'],
    ['http://box#x', 'it has a query'],
  ])('refuses %p: %s', async (text, reason) => {
    const error = await errorOf(() => parseBaseUrl(text));
    expect([error.code, error.meta.reason]).toEqual(['ENGINE_URL_REFUSED', reason]);
  });

  test.each(['http://user:s3cret@box:1', 'http://s3cret@box', 'http://box/?key=s3cret'])(
    'refuses %p without repeating what may be a secret',
    async (text) => {
      const error = await errorOf(() => parseBaseUrl(text));
      expect(error.code).toBe('ENGINE_URL_REFUSED');
      expect(JSON.stringify([error.message, error.hint, error.meta])).not.toContain('s3cret');
    },
  );
});

describe('placeOf', () => {
  test('is one for every name of this machine, and keeps ports, prefixes and schemes apart', () => {
    const loopback = [
      'http://127.0.0.1:8080',
      'http://localhost:8080',
      'http://[::1]:8080',
      'http://0.0.0.0:8080/',
      'http://127.5.6.7:8080',
      'http://localhost.:8080',
      'http://[::ffff:127.0.0.1]:8080',
      'http://[::]:8080',
    ];
    expect(new Set(loopback.map(placeOf)).size).toBe(1);
    const others = [
      'http://127.0.0.1:8081',
      'https://127.0.0.1:8080',
      'http://127.0.0.1:8080/a',
      'http://10.0.0.1:8080',
    ];
    expect(new Set([...others, 'http://127.0.0.1:8080'].map(placeOf)).size).toBe(5);
    expect(placeOf('http://box')).toBe(placeOf('http://box:80/'));
  });
});

describe('portOf', () => {
  test('knows the default ports', () => {
    expect(['http://a', 'https://a', 'http://a:8080'].map((url) => portOf(new URL(url)))).toEqual([
      80, 443, 8080,
    ]);
  });
});
