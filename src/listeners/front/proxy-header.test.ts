/** The PROXY protocol byte by byte, as its specification has it; what a proxy says wrongly is never half believed. */
import { describe, expect, test } from 'bun:test';
import { isProxyHeader, type Peer, type ProxyHeader, readProxyHeader } from './proxy-header';

const ascii = (text: string) => Buffer.from(text, 'latin1');
const SIGNATURE = '0d0a0d0a000d0a515549540a';
/** A header of version 2: version and command, family and transport, and what follows; its length unless one is given. */
function block(command: string, family: string, body = '', size = body.length / 2): Buffer {
  return Buffer.from(`${SIGNATURE}${command}${family}${size.toString(16).padStart(4, '0')}${body}`, 'hex');
}

const INVALID: ProxyHeader = { state: 'invalid' };
const INCOMPLETE: ProxyHeader = { state: 'incomplete' };
const SOURCE4 = { address: '192.168.0.1', port: 56_324 };
const SOURCE6 = { address: '2001:db8::7', port: 65_535 };
const ADDRESSES4 = 'c0a80001c0a8000bdc0401bb';
const ADDRESSES6 = `20010db8${'0'.repeat(23)}7${'20010db8'.padEnd(31, '0')}1ffff01bb`;
const UNIX = '2f746d702f73'.padEnd(432, '0');
const LONGEST = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff';

type Source = Peer | 'self' | 'unknown';

describe('version 1', () => {
  test.each<[string, Source]>([
    ['PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n', SOURCE4],
    [
      'PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n',
      { address: '255.255.255.255', port: 65_535 },
    ],
    ['PROXY TCP4 1.2.3.4 5.6.7.8 0 0\r\n', { address: '1.2.3.4', port: 0 }],
    ['PROXY TCP6 2001:DB8::7 2001:db8::1 65535 443\r\n', SOURCE6],
    ['PROXY TCP6 2001:0db8:0000:0000:0000:0000:0000:0007 ::1 65535 443\r\n', SOURCE6],
    [`PROXY TCP6 ${LONGEST} ${LONGEST} 65535 65535\r\n`, { address: LONGEST, port: 65_535 }],
    // As the C library writes an IPv4 client of an IPv6 socket.
    ['PROXY TCP6 ::ffff:192.168.0.1 ::ffff:192.168.0.11 56324 443\r\n', SOURCE4],
    ['PROXY UNKNOWN\r\n', 'unknown'],
    ['PROXY UNKNOWN whatever \xff\r\n', 'unknown'],
    [`PROXY UNKNOWN ${LONGEST} ${LONGEST} 65535 65535\r\n`, 'unknown'],
  ])('%p', (line, source) => {
    const whole = ascii(line);
    expect(readProxyHeader(Buffer.concat([whole, ascii('GET / HTTP/1.1\r\n\r\n')]))).toEqual({
      state: 'complete',
      length: whole.length,
      source,
    });
    // Arriving byte by byte, it is not decided by any piece of it.
    for (let length = 0; length < whole.length; length++)
      expect(readProxyHeader(whole.subarray(0, length))).toEqual(INCOMPLETE);
  });

  test.each([
    ['another protocol', 'GET / HTTP/1.1\r\n'],
    ['small letters', 'proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n'],
    ['no space', 'PROXYTCP4 1.2.3.4 5.6.7.8 1 2\r\n'],
    ['two spaces', 'PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n'],
    ['a tab', 'PROXY\tTCP4 1.2.3.4 5.6.7.8 1 2\r\n'],
    ['two spaces between addresses', 'PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n'],
    ['a space at the end', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n'],
    ['more at the end', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n'],
    ['less', 'PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n'],
    ['a line feed alone', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n'],
    ['a line feed inside', 'PROXY TCP4 1.2.3.4 5.6.7.8\n1 2\r\n'],
    ['another family', 'PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n'],
    ['UNKNOWN with a tail', 'PROXY UNKNOWNS\r\n'],
    ['IPv6 as TCP4', 'PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n'],
    ['IPv4 as TCP6', 'PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n'],
    ['one of each', 'PROXY TCP6 2001:db8::7 5.6.7.8 1 2\r\n'],
    ['a leading zero', 'PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n'],
    ['a number too large', 'PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n'],
    ['three numbers', 'PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n'],
    ['no address', 'PROXY TCP4 localhost 5.6.7.8 1 2\r\n'],
    ['two double colons', 'PROXY TCP6 2001::db8::7 ::1 1 2\r\n'],
    ['a zone', 'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n'],
    ['brackets', 'PROXY TCP6 [2001:db8::7] ::1 1 2\r\n'],
    ['a port too large', 'PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n'],
    ['a port with a leading zero', 'PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n'],
    ['a negative port', 'PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n'],
    ['a port too large at the other end', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 70000\r\n'],
  ])('%s is invalid', (_, line) => {
    expect(readProxyHeader(ascii(line))).toEqual(INVALID);
  });

  test('a line has ended after 107 bytes, or is none', () => {
    const start = 'PROXY UNKNOWN ';
    const longest = ascii(`${start.padEnd(105, 'x')}\r\n`);
    expect(readProxyHeader(longest)).toMatchObject({ state: 'complete', length: 107 });
    expect(readProxyHeader(ascii(start.padEnd(106, 'x')))).toEqual(INCOMPLETE);
    expect(readProxyHeader(ascii(start.padEnd(107, 'x')))).toEqual(INVALID);
    expect(readProxyHeader(ascii(`${start.padEnd(106, 'x')}\r\n`))).toEqual(INVALID);
    expect(readProxyHeader(ascii(`${start.padEnd(106, 'x')}\r`))).toEqual(INVALID);
  });
});

describe('version 2', () => {
  test.each<[string, Buffer, Source]>([
    ['TCP over IPv4', block('21', '11', ADDRESSES4), SOURCE4],
    ['TCP over IPv6', block('21', '21', ADDRESSES6), SOURCE6],
    [
      'IPv4 in IPv6',
      block('21', '21', `${'ffffc0a80001'.padStart(32, '0')}${'ffffc0a8000b'.padStart(32, '0')}dc0401bb`),
      SOURCE4,
    ],
    ['values after the addresses', block('21', '11', `${ADDRESSES4}040003616263${'e00000'}`), SOURCE4],
    ['UNIX sockets', block('21', '31', UNIX), 'unknown'],
    ['UNIX datagrams', block('21', '32', UNIX), 'unknown'],
    ['UDP over IPv4', block('21', '12', ADDRESSES4), 'unknown'],
    ['no family', block('21', '00'), 'unknown'],
    ['no family, and something', block('21', '00', 'deadbeef'), 'unknown'],
    ['LOCAL', block('20', '00'), 'self'],
    ['LOCAL with addresses, which do not count', block('20', '11', ADDRESSES4), 'self'],
    ['LOCAL with a family that there is not', block('20', 'ff', 'de'), 'self'],
    ['the largest', block('21', '11', `${ADDRESSES4}04${'0ff1'}${'00'.repeat(4_081)}`), SOURCE4],
  ])('%s', (_, whole, source) => {
    expect(readProxyHeader(Buffer.concat([whole, Buffer.of(22, 3, 1)]))).toEqual({
      state: 'complete',
      length: whole.length,
      source,
    });
    for (let length = 0; length < whole.length; length++)
      expect(readProxyHeader(whole.subarray(0, length))).toEqual(INCOMPLETE);
  });

  test.each([
    ['version 1', block('11', '11', ADDRESSES4)],
    ['version 3', block('31', '11', ADDRESSES4)],
    ['another command', block('22', '11', ADDRESSES4)],
    ['another family', block('21', '41', UNIX)],
    ['another transport', block('21', '13', ADDRESSES4)],
    ['too short for IPv4', block('21', '11', ADDRESSES4.slice(2))],
    ['too short for IPv6', block('21', '21', ADDRESSES4)],
    ['too short for UNIX', block('21', '31', ADDRESSES6)],
    ['a value that is longer than what there is', block('21', '11', `${ADDRESSES4}0400046162`)],
    ['a value without a length', block('21', '11', `${ADDRESSES4}04`)],
    ['more than anybody has to say', block('21', '11', ADDRESSES4, 4_097)],
    ['the most that can be said', block('20', '00', '', 65_535)],
    ['a signature with a slip', Buffer.from('0d0a0d0a000d0a515549540d21110000', 'hex')],
  ])('%s is invalid', (_, bytes) => {
    expect(readProxyHeader(bytes)).toEqual(INVALID);
  });

  test('what is wrong is known before all of it has come', () => {
    expect(readProxyHeader(block('21', '11', '', 4_097))).toEqual(INVALID);
    expect(readProxyHeader(Buffer.from(`${SIGNATURE.slice(0, 8)}01`, 'hex'))).toEqual(INVALID);
  });
});

test('a header is told from what clients begin with', () => {
  expect(isProxyHeader(ascii('PROXY TCP4 '))).toBe(true);
  expect(isProxyHeader(block('20', '00'))).toBe(true);
  for (const other of ['POST / HTTP/1.1', 'PROXYED', '', 'P', '\r\n\r\nGET /', '\x16\x03\x01'])
    expect(isProxyHeader(ascii(other))).toBe(false);
});
