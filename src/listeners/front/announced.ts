/**
 * For whom a connection was made: for whoever is at its other end, or, where reverse proxies say so first, for somebody who
 * came to them. Only those proxies are believed, and one that says nothing gets nothing.
 */
import type { Socket } from 'node:net';
import { isLoopback, parseIpSet } from '../../lib/ip';
import { type Peer, readProxyHeader } from './proxy-header';

/**
 * In place of an address, for clients whom a trusted proxy cannot name. Of a network that leads nowhere (RFC 6666), so that
 * limits hold for all of them together, and nothing that is for this machine, or for the proxy, holds for any.
 */
export const UNTOLD_PEER = '100::1';

export interface Announced {
  isTrusted(address: string): boolean;
  /** Calls `then` with who has come, before what they say is read. One that says it wrongly is cut. */
  read(client: Socket, outer: Peer, then: (peer: Peer) => void): void;
  /** Who has come from that end of an outer connection; null: nobody knows yet. */
  clientAt(outer: Peer): Peer | null;
}

interface AnnouncedOptions {
  /** Whether the protocol is spoken at all. */
  readonly isSpoken: boolean;
  readonly trustedProxies: () => readonly string[];
}

export function createAnnounced({ isSpoken, trustedProxies }: AnnouncedOptions): Announced {
  let text = '';
  let trusted = parseIpSet([]);
  /** By the other end of their outer connection. */
  const told = new Map<string, Peer>();

  function isTrusted(address: string): boolean {
    const now = trustedProxies();
    // Parsed again only when it is another list.
    const joined = now.join();
    if (joined !== text) {
      text = joined;
      trusted = parseIpSet(now);
    }
    return now.length > 0 && trusted.has(address);
  }

  return {
    isTrusted,
    read(client, outer, then) {
      if (!isSpoken || !isTrusted(outer.address)) return then(outer);
      let bytes: Buffer = Buffer.alloc(0);
      const take = (more: Buffer): void => {
        bytes = bytes.length === 0 ? more : Buffer.concat([bytes, more]);
        const header = readProxyHeader(bytes);
        if (header.state === 'incomplete') return;
        client.off('data', take);
        client.pause();
        if (header.state === 'invalid') return void client.destroy();
        if (header.length < bytes.length) client.unshift(bytes.subarray(header.length));
        const peer = peerFrom(header.source, outer);
        const key = keyOf(outer);
        told.set(key, peer);
        client.once('close', () => {
          // Its port may be another one's by now.
          if (told.get(key) === peer) told.delete(key);
        });
        then(peer);
      };
      client.on('data', take);
      client.resume();
    },
    clientAt(outer) {
      if (!isSpoken) return outer;
      return told.get(keyOf(outer)) ?? (isTrusted(outer.address) ? null : outer);
    },
  };
}

function keyOf({ address, port }: Peer): string {
  return `${address} ${port}`;
}

/** Whom a trusted proxy at `outer` speaks for. */
export function peerFrom(source: Peer | 'self' | 'unknown', outer: Peer): Peer {
  if (source === 'self') return outer;
  if (source === 'unknown' || !isSomewhere(source.address, outer.address))
    return { address: UNTOLD_PEER, port: outer.port };
  return source;
}

/** The loopback of another machine is not this one's. */
function isSomewhere(address: string, proxy: string): boolean {
  if (isLoopback(address)) return isLoopback(proxy);
  return address !== '0.0.0.0' && address !== '::';
}
