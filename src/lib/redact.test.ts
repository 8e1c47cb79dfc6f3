/** Secrets in text: everything that may hold one passes here, and nothing else should suffer from it. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { mask, redact, redactValue } from './redact';

const base62 = (length: number) =>
  fc.string({
    unit: fc.constantFrom(...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'),
    minLength: length,
    maxLength: length,
  });

describe('redact', () => {
  test('leaves of a key of FLM only its id, wherever the key stands', () => {
    const around = fc.oneof(fc.string(), fc.constantFrom('%20', 'key_', 'x', '"', '=', '/', 'Bearer ', 'é'));
    fc.assert(
      fc.property(base62(8), base62(38), around, around, (id, secret, before, after) => {
        // Letters right behind a key would make it longer, not hide it.
        const text = redact(`${before}flm_${id}${secret}${after.replace(/^[0-9A-Za-z]+/, '')}`);
        expect(text).not.toContain(secret.slice(0, 8));
      }),
      { numRuns: 2_000 },
    );
    expect(redact(`key flm_abcd1234${'x'.repeat(38)} is bad`)).toBe('key flm_abcd1234[redacted] is bad');
  });

  test('finds every one of several', () => {
    const key = (id: string) => `flm_${id.repeat(8)}${'S'.repeat(38)}`;
    expect(redact(`${key('a')},${key('b')} ${key('c')}`)).toBe(
      'flm_aaaaaaaa[redacted],flm_bbbbbbbb[redacted] flm_cccccccc[redacted]',
    );
  });

  test.each([
    ['Authorization: Bearer abc.def', 'Authorization: Bearer [redacted]'],
    ['authorization: basic dXNlcjpwYXNz', 'authorization: basic [redacted]'],
    ['sk-proj-abcdefghijklmnop is used', 'sk-[redacted] is used'],
    ['hf_abcdefghijklmnop', 'hf_[redacted]'],
    ['token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln', 'token [redacted]'],
    ['https://h/x?api_key=s3cret&model=m', 'https://h/x?api_key=[redacted]&model=m'],
    ['https://h/x?token=s3cret', 'https://h/x?token=[redacted]'],
    ['http://user:pa55@host:1/x', 'http://user:[redacted]@host:1/x'],
    ['a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b', 'a [redacted] b'],
  ])('%p becomes %p', (text, redacted) => {
    expect(redact(text)).toBe(redacted);
  });

  test.each([
    'a plain sentence about tokens and keys',
    'http://127.0.0.1:8080/v1/models?limit=5',
    'flm_short',
    'flm://llamacpp-default/qwen2.5-coder:7b',
    'task-running-for-a-long-time',
    'disk-space',
    'max_tokens=100',
  ])('leaves %p alone', (text) => {
    expect(redact(text)).toBe(text);
  });

  test('takes the same time for each character of a hostile text', () => {
    for (const text of [
      'Bearer '.repeat(50_000),
      '://a'.repeat(50_000),
      'flm_'.repeat(50_000),
      'eyJ'.repeat(50_000),
    ]) {
      const startedMs = performance.now();
      redact(text);
      expect(performance.now() - startedMs).toBeLessThan(2_000);
    }
  });
});

describe('redactValue', () => {
  test('empties fields with the name of a secret, at any depth and in any case', () => {
    const value = {
      Authorization: 'x',
      nested: [{ plain_key: 'x', apiKey: 'x', 'x-api-key': 'x', 'Proxy-Authorization': 'x', password: null }],
      cookie: ['a', 'b'],
      passphrase: { deep: 'x' },
      max_tokens: 5,
      keyId: 'abc',
    };
    expect(redactValue(value)).toEqual({
      Authorization: '[redacted]',
      nested: [
        {
          plain_key: '[redacted]',
          apiKey: '[redacted]',
          'x-api-key': '[redacted]',
          'Proxy-Authorization': '[redacted]',
          password: null,
        },
      ],
      cookie: '[redacted]',
      passphrase: '[redacted]',
      max_tokens: 5,
      keyId: 'abc',
    });
  });

  test('redacts the strings inside', () => {
    expect(redactValue({ list: ['Bearer abc'], text: 'http://u:p@h' })).toEqual({
      list: ['Bearer [redacted]'],
      text: 'http://u:[redacted]@h',
    });
  });

  test('never shows the bytes of a buffer, which may be a key', () => {
    const bytes = Buffer.from('0123456789abcdef');
    expect(redactValue({ hash: bytes, list: [new Uint8Array(3)] })).toEqual({
      hash: '[16 bytes]',
      list: ['[3 bytes]'],
    });
  });

  test('ends with a value that holds itself, and stays small', () => {
    const loop: Record<string, unknown> = { name: 'loop' };
    loop.self = loop;
    expect(JSON.stringify(redactValue(loop))).toContain('[deep]');
    expect(redactValue(Array.from({ length: 1_000 }, () => 1))).toHaveLength(100);
  });

  test('gives something that can always be written as JSON', () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withTypedArray: true, withDate: true, withMap: true }),
        (value) => {
          expect(() => JSON.stringify(redactValue({ value }))).not.toThrow();
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test('does not change what it was given', () => {
    const value = Object.freeze({ token: 'x', list: Object.freeze(['Bearer abc']) });
    redactValue(value);
    expect(value).toEqual({ token: 'x', list: ['Bearer abc'] });
  });
});

describe('mask', () => {
  test.each([
    ['abcdefgh', 'ab***'],
    ['a', 'a***'],
    ['', '***'],
    ['abcdefghi', 'abcd***fghi'],
  ])('%p is shown as %p (FLM-118)', (id, shown) => {
    expect(mask(id)).toBe(shown);
  });
});
