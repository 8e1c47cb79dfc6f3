/**
 * How a port goes from one FLM process to the next without losing a connection (Linux). Both listen on it for a moment;
 * the kernel is told to hand new connections to the one that came later, so that nothing is left in the queue of the
 * other when it stops listening. The runtime has no call for either, hence the C library.
 */
import { FFIType, ptr } from 'bun:ffi';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { openLibc } from '../lib/libc';

const SOL_SOCKET = 1;
const SO_ATTACH_REUSEPORT_CBPF = 51;
/** Classic BPF `ret #1`: the second socket of the group, or any where there is no second (socket(7), bpf(2)). */
const BPF_RET = 0x06;
const SECOND = 1;
const O_CLOEXEC = 0o2000000;

const CALLS = {
  setsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i32,
  },
  dup3: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
} as const;

/** Makes new connections go to whoever listens on the port of `sockets` last. Returns whether the kernel took it. */
export function steerToLatest([socket]: readonly number[]): boolean {
  const libc = openLibc(CALLS);
  if (libc === null || socket === undefined) return false;
  // struct sock_filter, and struct sock_fprog that points at it.
  const instruction = new Uint8Array(8);
  const filter = new DataView(instruction.buffer);
  filter.setUint16(0, BPF_RET, true);
  filter.setUint32(4, SECOND, true);
  const program = new Uint8Array(16);
  const head = new DataView(program.buffer);
  head.setUint16(0, 1, true);
  head.setBigUint64(8, BigInt(ptr(instruction)), true);
  const { setsockopt } = libc.symbols;
  return setsockopt(socket, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, ptr(program), program.length) === 0;
}

/**
 * Ends listening on `sockets` and leaves every connection alone. The runtime's own stop closes idle ones at once, and whoever
 * is about to send a request on one would lose it. Returns whether that was possible.
 */
export function stopListeningOnly(sockets: readonly number[]): boolean {
  const libc = openLibc(CALLS);
  if (libc === null || sockets.length === 0) return false;
  // The runtime keeps the number of the socket and closes it at the end: until then something harmless is behind it.
  const harmless = openSync('/dev/null', 'r');
  try {
    return sockets.every((socket) => libc.symbols.dup3(harmless, socket, O_CLOEXEC) === socket);
  } finally {
    closeSync(harmless);
  }
}

/** Whether another process listens on exactly this address and port, as two that share it would. */
export function isShared(port: number): boolean {
  const own = new Set(ownSockets().map(({ inode }) => inode));
  const all = listeners(port);
  const addresses = new Set(all.filter(({ inode }) => own.has(inode)).map(({ address }) => address));
  return all.some(({ inode, address }) => !own.has(inode) && addresses.has(address));
}

/** The descriptors of this process that listen on `port`; none where the system does not tell. */
export function listeningSockets(port: number): number[] {
  const inodes = new Set(listeners(port).map(({ inode }) => inode));
  return ownSockets()
    .filter(({ inode }) => inodes.has(inode))
    .map(({ descriptor }) => descriptor);
}

interface ListeningSocket {
  /** As the kernel writes it: address and port in hexadecimal. */
  readonly address: string;
  readonly inode: string;
}

/** The sockets of this machine that listen on `port` (proc(5): net/tcp, state 0A). */
function listeners(port: number): ListeningSocket[] {
  // There are thousands of lines where FLM is busy, and few that listen: only those are taken apart.
  const own = new RegExp(
    `^ *\\d+: ([0-9A-F]+:${port.toString(16).toUpperCase().padStart(4, '0')}) [0-9A-F:]+ 0A .*$`,
    'gm',
  );
  return ['/proc/self/net/tcp', '/proc/self/net/tcp6'].flatMap((file) =>
    [...textOf(file).matchAll(own)].map(([line, address = '']) => ({
      address,
      inode: line.trim().split(/\s+/)[9] ?? '',
    })),
  );
}

function ownSockets(): { readonly descriptor: number; readonly inode: string }[] {
  return namesIn('/proc/self/fd').flatMap((name) => {
    const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/self/fd/${name}`))?.[1];
    return inode === undefined ? [] : [{ descriptor: Number(name), inode }];
  });
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // Not Linux, or no IPv6.
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ''; // It was closed meanwhile.
  }
}
