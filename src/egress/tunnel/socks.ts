/**
 * The way through a SOCKS5 server (RFC 1928). The destination's name goes to the server as it is, so that nobody here looks
 * it up; TLS is spoken with the destination itself, inside the tunnel.
 */
import { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { SocksClient, SocksClientError } from 'socks';
import { reasonOf } from '../../lib/errors';
import { parseIp } from '../../lib/ip';
import { EgressError, translateFailure } from '../errors';
import type { Destination } from '../http1/client';
import type { Dial, Wire, WireEvents } from '../http1/connection';
import { lostBecause, REFUSES_LOGIN, WANTS_LOGIN } from './greet';
import type { SocksServer } from './server';

/** How long the server itself may take to say its first word. What it connects to may take longer. */
const FIRST_WORD_MS = 5_000;

/**
 * Dials a destination through the server. Whoever closes the connection meanwhile ends the dialling.
 * Rejects with an EgressError: of kind tunnel when it was the server that could not be used.
 */
export function dialThrough(server: SocksServer, destination: Destination, timeoutMs: number): Dial {
  return async (events) => {
    const socket = new Socket();
    socket.setNoDelay(true);
    events.onOpen(wireOf(socket));
    try {
      await openTunnel(socket, server, destination, timeoutMs);
      const { tlsName } = destination;
      attach(tlsName === null ? socket : await secured(socket, tlsName), events);
    } catch (error) {
      socket.destroy();
      throw error;
    }
  };
}

async function openTunnel(
  socket: Socket,
  { host, port, login }: SocksServer,
  destination: Destination,
  timeoutMs: number,
): Promise<void> {
  let hasSpoken = false;
  socket.once('data', () => {
    hasSpoken = true;
  });
  const timer = setTimeout(
    () => {
      if (!hasSpoken) socket.destroy(new EgressError('tunnel', 'it does not answer in time'));
    },
    Math.min(FIRST_WORD_MS, timeoutMs / 2),
  );
  try {
    await connected(socket, host, port);
    await SocksClient.createConnection({
      proxy: { host, port, type: 5, ...(login === null ? {} : credentialsOf(login)) },
      command: 'connect',
      destination: { host: destination.hostname, port: destination.port },
      existing_socket: socket,
      timeout: timeoutMs,
    });
  } catch (error) {
    throw hasSpoken ? refusalOf(error) : lostBecause(causeOf(error));
  } finally {
    clearTimeout(timer);
  }
}

function credentialsOf({ user, password }: NonNullable<SocksServer['login']>) {
  return { userId: user, password };
}

function connected(socket: Socket, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
    socket.once('close', () => reject(new EgressError('closed', 'the connection was closed')));
    socket.connect({ host, port });
  });
}

/** What a socket said, without what the library was told: its errors hold the login, and go no further than here. */
function causeOf(error: unknown): unknown {
  if (/socks(?:5)? version/i.test(reasonOf(error)))
    return new EgressError('tunnel', 'it does not speak SOCKS5');
  return error instanceof SocksClientError ? new EgressError('closed', error.message) : error;
}

/** What a server said that did speak: it does not want us, or the destination cannot be reached (RFC 1928 §6). */
function refusalOf(error: unknown): EgressError {
  const text = reasonOf(error);
  if (/authentication failed/i.test(text)) return new EgressError('tunnel', REFUSES_LOGIN);
  if (/no accepted authentication/i.test(text)) return new EgressError('tunnel', WANTS_LOGIN);
  if (/socks(?:5)? version|unknown authentication/i.test(text))
    return new EgressError('tunnel', 'it does not speak SOCKS5');
  if (/timed out/i.test(text)) return new EgressError('timeout', 'it cannot be reached in time');
  const [, answer] = /rejected connection - (\w+)/.exec(text) ?? [];
  switch (answer) {
    case undefined:
      return new EgressError('closed', 'the tunnel to it was closed');
    case 'ConnectionRefused':
      return new EgressError('refused', 'nothing listens there, says the tunnel');
    case 'NotAllowed':
      return new EgressError('unreachable', 'the tunnel does not let anybody go there');
    default:
      return new EgressError('unreachable', 'the tunnel cannot reach it');
  }
}

function secured(socket: Socket, name: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const isAddress = parseIp(name) !== null;
    const secure = connectTls({
      socket,
      // An address is no server name (RFC 6066 §3); the certificate has to be for it all the same.
      ...(isAddress ? { host: name } : { servername: name }),
      ALPNProtocols: ['http/1.1'],
    });
    secure.once('secureConnect', () => resolve(secure));
    secure.once('error', (error) => reject(translateFailure(error, null)));
    secure.once('close', () => reject(new EgressError('closed', 'the connection was closed')));
  });
}

function attach(socket: Socket, events: WireEvents): void {
  events.onOpen(wireOf(socket));
  let failure: unknown;
  socket.on('data', (bytes: Uint8Array) => events.onData(bytes));
  socket.on('end', () => events.onPeerEnd());
  socket.on('error', (error) => {
    failure = error;
  });
  socket.on('close', () => events.onSocketClosed(failure));
}

function wireOf(socket: Socket): Wire {
  // Its errors come to whoever dials or reads; none of them may end the process in between.
  socket.on('error', () => {});
  return {
    write(data) {
      if (socket.destroyed) return -1;
      socket.write(data);
      // It keeps what the kernel does not take.
      return typeof data === 'string' ? Buffer.byteLength(data) : data.length;
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    terminate: () => void socket.destroy(),
  };
}
