/** A door in front of an engine that can be shut while those who are inside stay: what a draining vLLM looks like. */
import { connect, createServer, type Socket } from 'node:net';

export interface Front extends AsyncDisposable {
  readonly url: string;
  /** New connections are refused; open ones go on. */
  shut(): void;
  /** New connections are accepted and never answered; open ones go on. */
  hang(): void;
}

export async function startFront(engineUrl: string): Promise<Front> {
  const { hostname, port: enginePort } = new URL(engineUrl);
  const sockets = new Set<Socket>();
  let hangs = false;
  const server = createServer((client) => {
    sockets.add(client);
    client.on('error', () => {});
    if (hangs) return;
    const engine = connect(Number(enginePort), hostname);
    sockets.add(engine);
    engine.on('error', () => client.destroy());
    client.on('close', () => engine.destroy());
    engine.on('close', () => client.destroy());
    client.pipe(engine);
    engine.pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    shut: () => void server.close(),
    hang() {
      hangs = true;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
