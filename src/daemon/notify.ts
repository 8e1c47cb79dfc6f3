/**
 * What a service manager wants to hear (sd_notify(3)): datagrams to the socket that NOTIFY_SOCKET names. The runtime has no
 * datagrams for unix sockets, hence the C library.
 */
import { FFIType, ptr } from 'bun:ffi';
import { openLibc } from '../lib/libc';
import type { Env } from '../lib/paths';

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const MSG_NOSIGNAL = 0x4000;
/** sizeof(sun_path). */
const MAX_PATH = 108;

const CALLS = {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  sendto: {
    args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i64,
  },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
} as const;

export interface ServiceManager {
  /** FLM serves. */
  ready(status: string): void;
  stopping(): void;
  /** Tells it that FLM is alive, as often as it wants to hear it; stopped by `close`. */
  close(): void;
}

/** Whether a service manager started this process and wants to hear of it. */
export function hasServiceManager(env: Env): boolean {
  return (env.NOTIFY_SOCKET ?? '') !== '';
}

/** Does nothing where nobody wants to hear anything. */
export function connectServiceManager(env: Env): ServiceManager {
  const send = (text: string): boolean => sendDatagram(env.NOTIFY_SOCKET ?? '', text);
  let timer: ReturnType<typeof setInterval> | null = null;
  return {
    ready(status) {
      if (!hasServiceManager(env)) return;
      send(`READY=1\nSTATUS=${status}\nMAINPID=${process.pid}`);
      const everyUs = Number(env.WATCHDOG_USEC ?? 0);
      // Twice as often as it has to be, as sd_watchdog_enabled(3) advises. A loop that hangs sends none.
      if (everyUs > 0) timer = setInterval(() => send('WATCHDOG=1'), everyUs / 2_000);
    },
    stopping: () => void send('STOPPING=1'),
    close() {
      if (timer !== null) clearInterval(timer);
    },
  };
}

/** Whether the datagram was taken. `@` at the beginning means a name without a file (unix(7)). */
function sendDatagram(path: string, text: string): boolean {
  const name = Buffer.from(path);
  const libc = name.length === 0 || name.length >= MAX_PATH ? null : openLibc(CALLS);
  if (libc === null) return false;
  const { socket, sendto, close } = libc.symbols;
  const descriptor = socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  if (descriptor < 0) return false;
  const address = Buffer.alloc(2 + name.length);
  address.writeUInt16LE(AF_UNIX);
  name.copy(address, 2);
  if (path.startsWith('@')) address[2] = 0;
  const bytes = Buffer.from(text);
  try {
    const sent = sendto(descriptor, ptr(bytes), bytes.length, MSG_NOSIGNAL, ptr(address), address.length);
    return Number(sent) === bytes.length;
  } finally {
    close(descriptor);
  }
}
