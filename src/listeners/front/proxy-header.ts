/**
 * What a proxy says before anything else about the client it speaks for: the PROXY protocol, versions 1 and 2
 * (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt). Reads the bytes; whom to believe is decided elsewhere.
 */
import { parseIp } from '../../lib/ip';

/** The other end of a connection. */
export interface Peer {
  readonly address: string;
  readonly port: number;
}

/**
 * `self`: the proxy asks for itself, to see whether anybody is there. `unknown`: for somebody whom it cannot name by an
 * address of the internet.
 */
export type ProxyHeader =
  | { readonly state: 'incomplete' }
  | { readonly state: 'invalid' }
  | { readonly state: 'complete'; readonly length: number; readonly source: Peer | 'self' | 'unknown' };

const INCOMPLETE: ProxyHeader = { state: 'incomplete' };
const INVALID: ProxyHeader = { state: 'invalid' };

/** §2.1: the longest line there can be, with its end. */
const MAX_LINE = 107;
const LINE_START = Buffer.from('PROXY ');
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n');
const FIXED = 16;
/** With all that proxies add about TLS. The length alone could say 65,535. */
const MAX_BLOCK = 4_096;

/** §2.2: of source and destination with their ports, by family. */
const INET = 1;
const INET6 = 2;
const ADDRESS_BYTES: Readonly<Record<number, number>> = { 0: 0, [INET]: 12, [INET6]: 36, 3: 216 };
const STREAM = 1;
const DATAGRAM = 2;

/** Whether a connection begins as only one with a header does. */
export function isProxyHeader(bytes: Buffer): boolean {
  return startsWith(bytes, LINE_START) || startsWith(bytes, SIGNATURE);
}

/** Reads the header at the beginning of what has come so far: nothing is decided by a piece of it but that it is wrong. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (mayBecome(bytes, SIGNATURE)) return bytes.length < FIXED ? INCOMPLETE : readBlock(bytes);
  if (mayBecome(bytes, LINE_START)) return readLine(bytes);
  return INVALID;
}

function startsWith(bytes: Buffer, start: Buffer): boolean {
  return bytes.length >= start.length && mayBecome(bytes, start);
}

/** Whether `bytes` and `start` are the same as far as both go. */
function mayBecome(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

const PORT = '(0|[1-9]\\d{0,4})';
const LINE = new RegExp(`^PROXY (TCP[46]) ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+) ${PORT} ${PORT}$`);
const OCTET = '(?:0|[1-9]\\d{0,2})';
const QUAD = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);

function readLine(bytes: Buffer): ProxyHeader {
  const text = bytes.toString('latin1', 0, Math.min(bytes.length, MAX_LINE));
  const end = text.indexOf('\r\n');
  // A line feed by itself ends nothing (§2.1).
  if (end === -1) return text.length < MAX_LINE && !text.includes('\n') ? INCOMPLETE : INVALID;
  const line = text.slice(0, end);
  const length = end + 2;
  if (/^PROXY UNKNOWN(?: |$)/.test(line)) return { state: 'complete', length, source: 'unknown' };
  const [, family, from = '', to = '', fromPort, toPort] = LINE.exec(line) ?? [];
  const address = addressIn(from, family);
  const isWhole = address !== null && addressIn(to, family) !== null;
  if (!isWhole || Number(fromPort) > 65_535 || Number(toPort) > 65_535) return INVALID;
  return { state: 'complete', length, source: { address, port: Number(fromPort) } };
}

/** IPv4 in IPv6 with dots is how the C library writes it, so some proxies do. */
function addressIn(text: string, family: string | undefined): string | null {
  if (family === 'TCP4') return QUAD.test(text) ? parseIp(text) : null;
  return text.includes(':') ? parseIp(text) : null;
}

function readBlock(bytes: Buffer): ProxyHeader {
  const version = bytes.readUInt8(12) >> 4;
  const command = bytes.readUInt8(12) & 0x0f;
  const family = bytes.readUInt8(13) >> 4;
  const transport = bytes.readUInt8(13) & 0x0f;
  const size = bytes.readUInt16BE(14);
  if (version !== 2 || command > 1 || size > MAX_BLOCK) return INVALID;
  const length = FIXED + size;
  if (command === 0)
    return bytes.length < length ? INCOMPLETE : { state: 'complete', length, source: 'self' };
  const addressBytes = ADDRESS_BYTES[family];
  if (addressBytes === undefined || transport > DATAGRAM || size < addressBytes) return INVALID;
  if (bytes.length < length) return INCOMPLETE;
  const block = bytes.subarray(FIXED, length);
  // Without a family nobody knows where addresses end and anything else begins.
  if (family !== 0 && !areWhole(block.subarray(addressBytes))) return INVALID;
  return { state: 'complete', length, source: transport === STREAM ? sourceIn(block, family) : 'unknown' };
}

function sourceIn(block: Buffer, family: number): Peer | 'unknown' {
  if (family === INET) return { address: block.subarray(0, 4).join('.'), port: block.readUInt16BE(8) };
  if (family !== INET6) return 'unknown';
  const groups = Array.from({ length: 8 }, (_, index) => block.readUInt16BE(2 * index).toString(16));
  const address = parseIp(groups.join(':'));
  return address === null ? 'unknown' : { address, port: block.readUInt16BE(32) };
}

/** §2.2: type, length and value, one after the other. What they say is nobody's concern here. */
function areWhole(values: Buffer): boolean {
  let at = 0;
  while (at + 3 <= values.length) at += 3 + values.readUInt16BE(at + 1);
  return at === values.length;
}
