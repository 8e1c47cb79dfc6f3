/**
 * Clients that are gone without a word, or take nothing of their answer: what the kernel can do about them without being
 * asked again (Linux). Set on the socket that listens; every connection that it accepts has it from there.
 */
import { FFIType, ptr } from 'bun:ffi';
import { openLibc } from '../lib/libc';

const SOL_SOCKET = 1;
const SO_KEEPALIVE = 9;
const TCP = 6;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const TCP_USER_TIMEOUT = 18;
const TCP_NOTSENT_LOWAT = 25;

/**
 * So long bytes may lie there that the other side neither acknowledges nor has room for (tcp(7)). The system's own default is
 * a quarter of an hour for the first and for ever for the second, and an engine works all the while.
 */
const TAKES_NOTHING_MS = 300_000;

const OPTIONS: readonly (readonly [level: number, name: number, value: number])[] = [
  [SOL_SOCKET, SO_KEEPALIVE, 1],
  // Where nothing has to be sent, the other side is asked after a minute, and given up after two more.
  [TCP, TCP_KEEPIDLE, 60],
  [TCP, TCP_KEEPINTVL, 30],
  [TCP, TCP_KEEPCNT, 4],
  [TCP, TCP_USER_TIMEOUT, TAKES_NOTHING_MS],
  // What nobody takes waits at the engine and not in the kernel: else a client that does not read ties up megabytes.
  [TCP, TCP_NOTSENT_LOWAT, 131_072],
];

const CALLS = {
  setsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i32,
  },
} as const;

/** Sets it up for all connections that come to `sockets` from now on. Returns whether the kernel took all of it. */
export function noticeTheVanished(sockets: readonly number[]): boolean {
  const libc = openLibc(CALLS);
  if (libc === null || sockets.length === 0) return false;
  const { setsockopt } = libc.symbols;
  const value = new Uint8Array(4);
  return sockets
    .flatMap((socket) => OPTIONS.map((option) => ({ socket, option })))
    .map(({ socket, option: [level, name, number] }) => {
      new DataView(value.buffer).setInt32(0, number, true);
      return setsockopt(socket, level, name, ptr(value), value.length) === 0;
    })
    .every(Boolean);
}
