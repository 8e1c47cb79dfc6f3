/**
 * The TCP connections of this process, as the kernel knows them (Linux). The runtime has no word for a connection that is
 * not a request yet, so its descriptors are looked at with getsockopt(2): nothing is read from a connection, and nothing
 * is kept beside it. Descriptors are looked at and cut by the thread that owns them, without a pause in between: a number
 * cannot become somebody else's meanwhile.
 */
import { FFIType, ptr } from 'bun:ffi';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { parseIp } from '../../lib/ip';
import { openLibc } from '../../lib/libc';

/** Where a connection comes from, and at which port it arrived. */
export interface Ends {
  readonly localPort: number;
  /** As parseIp writes it. */
  readonly address: string;
  readonly peerPort: number;
}

/** What has passed, in bytes since the connection began. */
export interface Passed {
  readonly sent: number;
  readonly received: number;
  /** Whether the other side has still to take something. */
  readonly isBlocked: boolean;
}

export interface Sockets {
  /** No descriptor is as large as this. */
  bound(): number;
  /** How many descriptors this process may have. */
  readonly most: number;
  /** What tells this socket from every other that has or had the same descriptor; 0 where there is none. */
  identify(descriptor: number): number;
  /** Null for what is no TCP connection. */
  endsOf(descriptor: number): Ends | null;
  /** The same object each time, so that looking makes no garbage. Null when the connection is over. */
  passed(descriptor: number): Passed | null;
  /** Ends a connection: after these bytes, or without a word. The runtime then sees that it was closed. */
  cut(descriptor: number, farewell: Uint8Array | null): void;
  close(): void;
}

const SOL_SOCKET = 1;
const SO_LINGER = 13;
const SO_COOKIE = 57;
const TCP = 6;
const TCP_INFO = 11;
const AF_INET = 2;
const AF_INET6 = 10;
const TCP_ESTABLISHED = 1;
const TCP_CLOSE_WAIT = 8;
const SHUT_RDWR = 2;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;

/** Offsets into struct tcp_info (linux/tcp.h), which only ever grows at its end. */
const UNACKED = 24;
const BYTES_RECEIVED = 128;
const NOTSENT_BYTES = 144;
const BYTES_SENT = 200;
/** Linux 4.19, the first that tells how much was sent. */
const KNOWN_INFO_BYTES = 208;

const CALLS = {
  getsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.ptr],
    returns: FFIType.i32,
  },
  setsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i32,
  },
  getsockname: { args: [FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  getpeername: { args: [FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  send: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64 },
  shutdown: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
} as const;

/** One block for everything that the kernel writes: a small array of its own may be moved by the runtime. */
const INFO = 0;
const INFO_BYTES = 512;
const LENGTH = 512;
const COOKIE = 520;
const NAME = 528;
const NAME_BYTES = 128;
const LINGER = 656;
const BLOCK_BYTES = 4_096;

/** Null where the system does not tell: not Linux, a C library that cannot be loaded, no /proc. */
export function openSockets(): Sockets | null {
  const libc = openLibc(CALLS);
  if (libc === null) return null;
  const { getsockopt, setsockopt, getsockname, getpeername, send, shutdown } = libc.symbols;
  const block = new ArrayBuffer(BLOCK_BYTES);
  const view = new DataView(block);
  const start = ptr(block);
  const at = (offset: number) => (start + offset) as typeof start;
  const [info, length, cookie, name, linger] = [at(INFO), at(LENGTH), at(COOKIE), at(NAME), at(LINGER)];
  // struct linger { on, 0 seconds }: what is left is dropped, and nothing waits for an answer to the goodbye.
  view.setInt32(LINGER, 1, true);
  const table = openDescriptorTable();
  if (table === null) return null;
  const passed = { sent: 0, received: 0, isBlocked: false };
  const u64 = (offset: number) =>
    view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 0x1_0000_0000;

  return {
    ...table,

    identify(descriptor) {
      view.setUint32(LENGTH, 8, true);
      return getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, cookie, length) === 0 ? u64(COOKIE) : 0;
    },

    endsOf(descriptor) {
      view.setUint32(LENGTH, NAME_BYTES, true);
      if (getsockname(descriptor, name, length) !== 0) return null;
      const localPort = view.getUint16(NAME + 2);
      view.setUint32(LENGTH, NAME_BYTES, true);
      if (getpeername(descriptor, name, length) !== 0) return null;
      const address = addressAt(view, NAME);
      return address === null ? null : { localPort, address, peerPort: view.getUint16(NAME + 2) };
    },

    passed(descriptor) {
      view.setUint32(LENGTH, INFO_BYTES, true);
      if (getsockopt(descriptor, TCP, TCP_INFO, info, length) !== 0) return null;
      const state = view.getUint8(INFO);
      const isOpen = state === TCP_ESTABLISHED || state === TCP_CLOSE_WAIT;
      if (!isOpen || view.getUint32(LENGTH, true) < KNOWN_INFO_BYTES) return null;
      passed.sent = u64(INFO + BYTES_SENT);
      passed.received = u64(INFO + BYTES_RECEIVED);
      passed.isBlocked =
        view.getUint32(INFO + UNACKED, true) > 0 || view.getUint32(INFO + NOTSENT_BYTES, true) > 0;
      return passed;
    },

    cut(descriptor, farewell) {
      if (farewell === null) setsockopt(descriptor, SOL_SOCKET, SO_LINGER, linger, 8);
      else send(descriptor, ptr(farewell), farewell.length, MSG_DONTWAIT_NOSIGNAL);
      shutdown(descriptor, SHUT_RDWR);
    },
  };
}

/** The address in a struct sockaddr_in or sockaddr_in6; null for another family. */
function addressAt(view: DataView, offset: number): string | null {
  const family = view.getUint16(offset, true);
  if (family === AF_INET) return [4, 5, 6, 7].map((i) => view.getUint8(offset + i)).join('.');
  if (family !== AF_INET6) return null;
  const groups = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => view.getUint16(offset + 8 + 2 * i));
  return parseIp(groups.map((group) => group.toString(16)).join(':'));
}

const TABLE_BYTES = 8_192;

/** How large the table of descriptors is (proc(5): FDSize), and may become. Kept open: when no descriptor is left, it is needed most. */
function openDescriptorTable(): Pick<Sockets, 'bound' | 'most' | 'close'> | null {
  try {
    const status = openSync('/proc/self/status', 'r');
    const most = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);
    const text = Buffer.alloc(TABLE_BYTES);
    const bound = () => {
      const size = readSync(status, text, 0, TABLE_BYTES, 0);
      return Number(/^FDSize:\s+(\d+)/m.exec(text.toString('latin1', 0, size))?.[1] ?? 0);
    };
    const close = () => closeSync(status);
    return { bound, most: Number.isNaN(most) ? Number.POSITIVE_INFINITY : most, close };
  } catch {
    return null;
  }
}
