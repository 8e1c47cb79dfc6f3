/** A TLS server that does nothing by itself but the handshake. */
import { createServer, type TLSSocket } from 'node:tls';
import type { TestCertificate } from './test-ca';

export interface TlsServer extends AsyncDisposable {
  readonly port: number;
  /** Handshakes that succeeded. */
  accepted(): number;
}

/** Listens on 127.0.0.1. `onData` is told the first bytes of each connection, and whatever follows. */
export async function listenTls(
  certificate: TestCertificate,
  onData: (socket: TLSSocket, text: string) => void,
): Promise<TlsServer> {
  const sockets = new Set<TLSSocket>();
  let accepted = 0;
  const server = createServer(certificate, (socket) => {
    accepted++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (data) => onData(socket, data.toString('latin1')));
  });
  server.on('tlsClientError', () => {}); // Clients that hang up are what is being tested.
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    accepted: () => accepted,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
