/** Kinds of values: what each reads, what it refuses, and that what it writes reads back. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { boolean, choice, fingerprints, hostNames, integer, ipAddress, ipNetworks, type Kind } from './kinds';

/** `refused` for what the kind does not take. */
function read<Value>(kind: Kind<Value>, input: unknown): unknown {
  try {
    return kind.parse(input);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return 'refused';
  }
}

describe('integer', () => {
  const kind = integer(1, 65_535);

  test.each([
    ['8080', 8080],
    [8080, 8080],
    [' 8080 ', 8080],
    ['1', 1],
    ['65535', 65_535],
    ['0080', 80],
    ['0', 'refused'],
    ['65536', 'refused'],
    ['-1', 'refused'],
    ['8080.0', 'refused'],
    ['8e3', 'refused'],
    ['0x1f', 'refused'],
    ['１２', 'refused'],
    ['8080 8081', 'refused'],
    ['', 'refused'],
    [8080.5, 'refused'],
    [Number.NaN, 'refused'],
    [Number.POSITIVE_INFINITY, 'refused'],
    [1e21, 'refused'],
    [true, 'refused'],
    [null, 'refused'],
    [[8080], 'refused'],
  ])('%p is %p', (input, value) => {
    expect(read(kind, input)).toBe(value);
  });

  test('says what it takes', () => {
    expect(kind.takes).toBe('a whole number from 1 to 65535');
    expect(() => kind.parse('x')).toThrow('it takes a whole number from 1 to 65535');
  });
});

describe('boolean', () => {
  test.each([
    ['true', true],
    ['TRUE', true],
    ['1', true],
    ['yes', true],
    [true, true],
    [' false ', false],
    ['0', false],
    ['No', false],
    [false, false],
    ['on', 'refused'],
    ['', 'refused'],
    [1, 'refused'],
    [null, 'refused'],
  ])('%p is %p', (input, value) => {
    expect(read(boolean(), input)).toBe(value);
  });
});

describe('choice', () => {
  test.each([
    ['info', 'info'],
    ['INFO', 'refused'],
    [' info', 'refused'],
    ['trace', 'refused'],
    ['', 'refused'],
    [undefined, 'refused'],
  ])('%p is %p', (input, value) => {
    expect(read(choice(['debug', 'info']), input)).toBe(value);
  });
});

describe('ipAddress', () => {
  test.each([
    ['127.0.0.1', '127.0.0.1'],
    [' [::1] ', '::1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['::ffff:0.0.0.0', '0.0.0.0'],
    ['localhost', '127.0.0.1'],
    ['localhost.example', 'refused'],
    ['127.1', 'refused'],
    ['0.0.0.0:8080', 'refused'],
    ['*', 'refused'],
    ['', 'refused'],
    [127, 'refused'],
  ])('%p is %p', (input, value) => {
    expect(read(ipAddress(), input)).toBe(value);
  });
});

describe('lists', () => {
  test.each([
    ['10.0.0.0/8, ::1', ['10.0.0.0/8', '::1']],
    ['', []],
    [' , ,', []],
    [
      ['10.0.0.1', ' 10.0.0.2 '],
      ['10.0.0.1', '10.0.0.2'],
    ],
    ['10.0.0.0/33', 'refused'],
    ['10.1.1.1/8', 'refused'],
    ['10.0.0.1; 10.0.0.2', 'refused'],
    [[10], 'refused'],
    [{}, 'refused'],
    [8, 'refused'],
  ])('networks: %p is %p', (input, value) => {
    expect(read(ipNetworks(), input)).toEqual(value);
  });

  const id = 'a1'.repeat(32);
  test.each([
    [id.toUpperCase(), [id]],
    [`${'A1:'.repeat(31)}A1, ${id}`, [id, id]],
    ['', []],
    [id.slice(2), 'refused'],
    [`${id}00`, 'refused'],
    [`sha256 Fingerprint=${id}`, 'refused'],
    ['z'.repeat(64), 'refused'],
    [7, 'refused'],
  ])('fingerprints: %p is %p', (input, value) => {
    expect(read(fingerprints(), input)).toEqual(value);
  });

  test.each([
    ['flm.local,example.com', ['flm.local', 'example.com']],
    // Hosts are compared in lower case (RFC 9110 §4.2.3).
    ['FLM.Local', ['flm.local']],
    ['a', ['a']],
    ['x_y.internal', ['x_y.internal']],
    ['flm.local:8080', 'refused'],
    ['http://flm.local', 'refused'],
    ['*.local', 'refused'],
    ['-x', 'refused'],
    ['x.', 'refused'],
    ['a b', 'refused'],
    ['x'.repeat(254), 'refused'],
  ])('hosts: %p is %p', (input, value) => {
    expect(read(hostNames(), input)).toEqual(value);
  });

  test('cannot be changed once they are read', () => {
    for (const items of [ipNetworks().parse('::1'), hostNames().parse([])])
      expect(Object.isFrozen(items)).toBe(true);
  });

  test('leave what they were given as it was', () => {
    const given = [' A.local '];
    hostNames().parse(given);
    expect(given).toEqual([' A.local ']);
  });
});

describe('what a kind writes', () => {
  test('reads back to the same value', () => {
    const same = <Value>(kind: Kind<Value>, value: Value) => {
      expect(kind.parse(kind.format(value))).toEqual(value);
    };
    const host = fc.stringMatching(/^[a-z0-9](?:[a-z0-9.-]{0,20}[a-z0-9])?$/);
    fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 40 }), (value) => same(integer(0, 2 ** 40), value)));
    fc.assert(fc.property(fc.boolean(), (value) => same(boolean(), value)));
    fc.assert(fc.property(fc.array(host), (value) => same(hostNames(), value)));
    fc.assert(fc.property(fc.array(fc.oneof(fc.ipV4(), fc.ipV6())), (value) => same(ipNetworks(), value)));
    same(choice(['debug', 'info']), 'debug');
    same(ipAddress(), '2001:db8::1');
  });
});
