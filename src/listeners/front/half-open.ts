/**
 * Connections that have not finished their handshake. Among too many of one source, or in all, the oldest is cut: an honest
 * client is done in milliseconds, so it is never among them, not even beside somebody who opens thousands.
 */
import type { Socket } from 'node:net';
import { ipBucket } from '../../lib/ip';

/** As long as the limits of connections give a request for its headers. */
export const HANDSHAKE_MS = 10_000;
const MAX_PER_SOURCE = 64;
const MAX_TOTAL = 2_048;

export interface HalfOpen {
  /**
   * Takes note of a connection from a canonical address, and cuts it when its handshake takes too long. Null: from a reverse
   * proxy, through which many come who have nothing to do with each other.
   */
  add(socket: Socket, address: string | null): void;
  /** It has become known who is at the other end. */
  attribute(socket: Socket, address: string): void;
  /** Its handshake is done, or it is over. */
  remove(socket: Socket): void;
  count(): number;
  cutAll(): void;
}

interface Entry {
  source: string | null;
  readonly timer: ReturnType<typeof setTimeout>;
}

export function createHalfOpen(deadlineMs: number = HANDSHAKE_MS): HalfOpen {
  // In the order in which they came, as sets keep it.
  const all = new Map<Socket, Entry>();
  const bySource = new Map<string, Set<Socket>>();

  function remove(socket: Socket): void {
    const entry = all.get(socket);
    if (entry === undefined) return;
    clearTimeout(entry.timer);
    all.delete(socket);
    if (entry.source === null) return;
    const same = bySource.get(entry.source);
    same?.delete(socket);
    if (same?.size === 0) bySource.delete(entry.source);
  }

  function cut(socket: Socket | undefined): void {
    if (socket === undefined) return;
    remove(socket);
    socket.destroy();
  }

  /** Counts it against its source, of which it may be one too many. */
  function countFor(socket: Socket, source: string): void {
    const same = bySource.get(source) ?? new Set();
    bySource.set(source, same);
    same.add(socket);
    if (same.size > MAX_PER_SOURCE) cut(same.values().next().value);
  }

  return {
    add(socket, address) {
      const source = address === null ? null : bucketOf(address);
      const timer = setTimeout(() => cut(socket), deadlineMs);
      timer.unref();
      all.set(socket, { source, timer });
      if (source !== null) countFor(socket, source);
      if (all.size > MAX_TOTAL) cut(all.keys().next().value);
    },
    attribute(socket, address) {
      const entry = all.get(socket);
      if (entry === undefined || entry.source !== null) return;
      entry.source = bucketOf(address);
      countFor(socket, entry.source);
    },
    remove,
    count: () => all.size,
    cutAll() {
      for (const socket of [...all.keys()]) cut(socket);
    },
  };
}

function bucketOf(address: string): string {
  return address.includes(':') ? ipBucket(address) : address;
}
